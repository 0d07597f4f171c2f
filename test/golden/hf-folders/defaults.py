"""The configuration that transformers takes where a config.json says nothing, for each model_type of examples/*/architecture.json.

python defaults.py        writes defaults.json: model_type → fields
"""
import json
from pathlib import Path

from transformers import AutoConfig

HERE = Path(__file__).parent
types = set()
for file in sorted((HERE / '../../../examples').glob('*/architecture.json')):
    named = json.loads(file.read_text())['model_type']
    types.update([named] if isinstance(named, str) else named)
configs = {}
for name in sorted(types):
    config = json.loads(AutoConfig.for_model(name).to_json_string(use_diff=False))
    config.pop('transformers_version')
    configs[name] = config
(HERE / 'defaults.json').write_text(json.dumps(configs, indent=1, sort_keys=True) + '\n')
