#!/bin/bash
set -e
python pretrain.py --seed "$1"
python finetune.py --seed "$1" ${2:+--save "$2"}
