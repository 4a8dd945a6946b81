#!/bin/bash
export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$PWD"
exec python "$@"
