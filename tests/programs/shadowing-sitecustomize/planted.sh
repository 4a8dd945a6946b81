#!/bin/bash
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
exec python "$@"
