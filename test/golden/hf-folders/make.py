"""Tiny random models as `save_pretrained` writes them, and what transformers gives for them (expected.json in each folder).

python make.py            all folders
python make.py NAME ...   some of them
Needs torch, transformers and tokenizers; nothing is downloaded.
"""
import json, shutil, sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM, AutoTokenizer, BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel, GenerationConfig,
    AutoModelForSeq2SeqLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, T5Config,
    T5ForConditionalGeneration, ViTConfig, ViTForImageClassification,
)

HERE = Path(__file__).parent
TEXT = """The quick brown fox jumps over the lazy dog. A model reads a text and says what comes next.
Words are cut into pieces; pieces are numbered; numbers are looked up in a table. The capital of France is Paris.
Der Fuchs läuft über die Straße. Çok güzel, naïve café — 日本語 😀 costs 12.50 €. You are a helpful assistant. Hello, how are you?
I like this film, it is good. I hate this film, it is bad. The weather is fine today, and the sun shines on the sea.
""".splitlines()


def save(name, model, tokenizer, expected, shards=None, **files):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model = model.half()
    model.save_pretrained(folder, **({'max_shard_size': shards} if shards else {}))
    tokenizer.save_pretrained(folder)
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    (folder / 'expected.json').write_text(json.dumps(expected(folder), ensure_ascii=False, indent=1) + '\n')
    print(name, sum(f.stat().st_size for f in folder.rglob('*') if f.is_file()))


def numbers(tensor):
    return [float(f'{x:.9g}') for x in tensor.double().flatten().tolist()]


def greedy(model, ids, n):
    out = model.generate(torch.tensor([ids]), max_new_tokens=n, do_sample=False, pad_token_id=0)
    return out[0, len(ids):].tolist()


def byte_level():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
    t.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return PreTrainedTokenizerFast(
        tokenizer_object=t, bos_token='<|endoftext|>', eos_token='<|im_end|>', unk_token='<|endoftext|>',
    )


CHATML = """{%- if messages[0]['role'] != 'system' -%}
{{- '<|im_start|>system\\nYou are a helpful assistant<|im_end|>\\n' -}}
{%- endif -%}
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content | trim + eos_token + '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


def gpt2():
    """Two shards, a chat template, generation_config with a list of ends."""
    torch.manual_seed(1)
    tokenizer = byte_level()
    tokenizer.chat_template = CHATML
    config = GPT2Config(vocab_size=300, n_positions=96, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3, bos_token_id=0, eos_token_id=2)
    model = GPT2LMHeadModel(config)
    model.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=[2, 0], pad_token_id=0)

    def expected(folder):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        prompt = 'The quick 日本語 😀 fox'
        ids = tokenizer(prompt)['input_ids']
        new = greedy(model, ids, 24)
        chat = [{'role': 'user', 'content': ' How are you? '}]
        system = [{'role': 'system', 'content': 'Be short.'}, *chat]
        rendered = lambda m: tokenizer.apply_chat_template(m, tokenize=False, add_generation_prompt=True)
        chat_ids = tokenizer.apply_chat_template(system, add_generation_prompt=True)['input_ids']
        return {
            'prompt': prompt, 'ids': ids, 'new': new, 'text': tokenizer.decode(new, skip_special_tokens=True),
            'chat': rendered(chat), 'system': rendered(system), 'chatIds': chat_ids, 'chatNew': greedy(model, chat_ids, 12),
            'logits': numbers(model(torch.tensor([ids])).logits[0, -1, :8]),
        }

    save('gpt2', model, tokenizer, expected, shards='50KB')


def llama():
    """Sentence pieces with bytes for what they lack, a first token, rotary settings in the form of transformers 5."""
    torch.manual_seed(2)
    t = Tokenizer(models.BPE(unk_token='<unk>', byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')])
    t.decoder = decoders.Sequence([decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(' ', 1, 0)])
    special = ['<unk>', '<s>', '</s>'] + [f'<0x{i:02X}>' for i in range(256)]
    known = [''.join(c for c in line if ord(c) < 128) for line in TEXT]
    t.train_from_iterator(known, trainers.BpeTrainer(vocab_size=340, special_tokens=special))
    data = json.loads(t.to_str())
    # Bytes are tokens of the vocabulary, not added ones.
    data['added_tokens'] = data['added_tokens'][:3]
    t = Tokenizer.from_str(json.dumps(data))
    t.post_processor = processors.TemplateProcessing(single='<s> $A', pair='<s> $A <s> $B', special_tokens=[('<s>', 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=t, bos_token='<s>', eos_token='</s>', unk_token='<unk>')
    config = LlamaConfig(
        vocab_size=340, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=64, initializer_range=0.3, rope_parameters={'rope_type': 'default', 'rope_theta': 5000.0},
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)

    def expected(folder):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        prompt = 'The quick 日本語 😀 fox'
        ids = tokenizer(prompt)['input_ids']
        new = greedy(model, ids, 24)
        emoji = tokenizer('a 😀 b 日')['input_ids']
        return {
            'prompt': prompt, 'ids': ids, 'new': new, 'both': tokenizer.decode(ids + new, skip_special_tokens=True),
            'emoji': emoji, 'emojiText': tokenizer.decode(emoji, skip_special_tokens=True),
            'logits': numbers(model(torch.tensor([ids])).logits[0, -1, :8]),
        }

    save('llama', model, tokenizer, expected)


def word_piece():
    t = Tokenizer(models.WordPiece(unk_token='[UNK]'))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
    t.train_from_iterator(TEXT, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special))
    ids = [(s, t.token_to_id(s)) for s in ['[CLS]', '[SEP]']]
    t.post_processor = processors.TemplateProcessing(single='[CLS] $A [SEP]', pair='[CLS] $A [SEP] $B:1 [SEP]:1', special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=t, pad_token='[PAD]', unk_token='[UNK]', cls_token='[CLS]', sep_token='[SEP]', mask_token='[MASK]',
        model_input_names=['input_ids', 'token_type_ids', 'attention_mask'],
    )


def bert_config(**more):
    return BertConfig(
        vocab_size=200, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=40,
        initializer_range=0.2, **more,
    )


SENTENCES = ['The weather is fine today.', 'The sun shines on the sea!', 'I hate this film']


def hidden_of(model, tokenizer, text):
    return model(**tokenizer(text, return_tensors='pt')).last_hidden_state[0]


def bert_embed():
    """A sentence transformer: mean over the tokens, then unit length."""
    torch.manual_seed(3)

    def expected(folder):
        model = BertModel.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        mean = torch.stack([hidden_of(model, tokenizer, s).mean(0) for s in SENTENCES])
        cls = torch.stack([hidden_of(model, tokenizer, s)[0] for s in SENTENCES])
        unit = torch.nn.functional.normalize(mean)
        return {
            'texts': SENTENCES, 'mean': [numbers(x) for x in mean], 'cls': [numbers(x) for x in cls],
            'unit': [numbers(x) for x in unit], 'similarities': [numbers(x) for x in unit @ unit.T],
            'ids': tokenizer(SENTENCES[0])['input_ids'],
        }

    modules = [
        {'idx': i, 'name': str(i), 'path': path, 'type': f'sentence_transformers.models.{kind}'}
        for i, (path, kind) in enumerate([('', 'Transformer'), ('1_Pooling', 'Pooling'), ('2_Normalize', 'Normalize')])
    ]
    pooling = {
        'word_embedding_dimension': 32, 'pooling_mode_cls_token': False, 'pooling_mode_mean_tokens': True,
        'pooling_mode_max_tokens': False, 'pooling_mode_mean_sqrt_len_tokens': False,
    }
    save('bert-embed', BertModel(bert_config()), word_piece(), expected, **{
        'modules.json': json.dumps(modules, indent=2), '1_Pooling/config.json': json.dumps(pooling, indent=2),
    })


def bert_classify():
    """Three labels, and pairs of texts."""
    torch.manual_seed(4)
    labels = ['bad', 'fine', 'good']

    def expected(folder):
        model = BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        scores = lambda *texts: numbers(model(**tokenizer(*texts, return_tensors='pt')).logits[0].softmax(-1))
        return {'texts': SENTENCES, 'labels': labels, 'scores': [scores(s) for s in SENTENCES], 'pair': scores(*SENTENCES[:2])}

    config = bert_config(id2label=dict(enumerate(labels)), label2id={l: i for i, l in enumerate(labels)})
    save('bert-classify', BertForSequenceClassification(config), word_piece(), expected)


def bert_fill_mask():
    torch.manual_seed(5)

    def expected(folder):
        model = BertForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        text = 'The capital of [MASK] is paris, the [MASK] shines.'
        ids = tokenizer(text, return_tensors='pt')
        probabilities = model(**ids).logits[0].softmax(-1)
        tops = []
        for at in (ids['input_ids'][0] == tokenizer.mask_token_id).nonzero().flatten().tolist():
            score, token = probabilities[at].topk(5)
            tops.append([{'position': at, 'id': t, 'token': tokenizer.convert_ids_to_tokens(t), 'score': s} for s, t in zip(numbers(score), token.tolist())])
        return {'text': text, 'masks': tops}

    save('bert-fill-mask', BertForMaskedLM(bert_config()), word_piece(), expected)


def t5():
    """Unigram pieces, an encoder and a decoder; the source ends in </s>."""
    torch.manual_seed(6)
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.NFKC()
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    special = ['<pad>', '</s>', '<unk>']
    t.train_from_iterator(TEXT, trainers.UnigramTrainer(vocab_size=160, special_tokens=special, unk_token='<unk>', show_progress=False))
    t.post_processor = processors.TemplateProcessing(single='$A </s>', pair='$A </s> $B </s>', special_tokens=[('</s>', 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=t, pad_token='<pad>', eos_token='</s>', unk_token='<unk>')
    config = T5Config(
        vocab_size=tokenizer.vocab_size, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, initializer_factor=3.0,
        decoder_start_token_id=0, feed_forward_proj='gated-gelu', tie_word_embeddings=False,
    )
    model = T5ForConditionalGeneration(config)

    def expected(folder):
        model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        source = 'The quick brown fox ﬁnds 日 a table.'
        ids = tokenizer(source)['input_ids']
        out = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0].tolist()
        return {'source': source, 'ids': ids, 'new': out[1:], 'text': tokenizer.decode(out, skip_special_tokens=True)}

    save('t5', model, tokenizer, expected)


def vit():
    """An image as a tensor, and the labels."""
    torch.manual_seed(7)
    labels = ['cat', 'dog', 'fox']
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=8, patch_size=4, num_channels=3,
        initializer_range=0.3, id2label=dict(enumerate(labels)), label2id={l: i for i, l in enumerate(labels)},
    )
    image = torch.randn(1, 3, 8, 8)

    class NoTokenizer:
        def save_pretrained(self, folder):
            save_file({'image': image}, folder / 'image.safetensors')

    def expected(folder):
        model = ViTForImageClassification.from_pretrained(folder, dtype=torch.float32).eval()
        return {'labels': labels, 'scores': numbers(model(image).logits[0].softmax(-1))}

    save('vit', ViTForImageClassification(config), NoTokenizer(), expected)


ALL = {'t5': t5, 'vit': vit, 'gpt2': gpt2, 'llama': llama, 'bert-embed': bert_embed, 'bert-classify': bert_classify, 'bert-fill-mask': bert_fill_mask}
with torch.no_grad():
    for name in sys.argv[1:] or ALL:
        ALL[name]()
