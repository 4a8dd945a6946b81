#!/bin/bash
set -e
python "$1" --seed "$3"
python "$@"
