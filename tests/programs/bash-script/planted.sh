#!/bin/bash
set -e
python pretrain.py --seed "$1"
python finetune.py ${2:+--save "$2"}
