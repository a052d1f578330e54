"""Words of model names, by what they say of the architecture.

Only words listed here are ever ignored in a name without a size, so that a name nobody listed is
left unknown rather than taken for its nearest neighbour.
"""

from __future__ import annotations

import re

QUANTISATION = re.compile(
    r"(?<![a-z0-9])(?:"
    r"(?:ud-|i1-|mix-)?(?:i|t)?q\d(?:_[a-z0-9]+)*(?: - (?:small|medium|large))?"  # GGUF blocks
    r"|q\d+f\d+(?:_\d)?|(?<!\d\.)\d+(?:\.\d+)?[-_ ]?bpw|(?<!\d\.)\d+bits?|exl[23]|exllamav2"
    r"|bf16|fp?(?:16|32)|nf4|u?int[2348]|mxint\d|w\da\d+(?:kv\d+)?|g?\d+g|g(?:32|64|128)"
    r"|(?:mx|nv)?fp[468](?:[-_](?:dynamic|block|kv|e[45]m[23](?:fn)?|static|w8a8|tensor))*"
    r"|bnb|bitsandbytes|awq|gptq(?:model)?|marlin|aqlm|hqq|eetq|quark|autoround|torchao|modelopt"
    r"|smooth_?quant|compressed[-_]tensors|imatrix|imat"
    r"|gguf|ggml|mlx|mlc|onnx|openvino|ov|safetensors"
    r")(?![a-z0-9])"
)
"""Weight formats and file formats; they may stand anywhere in a name."""

NEUTRAL = frozenset({
    "hf", "instruct", "chat", "it", "base", "sft", "dpo", "rl", "rlhf", "pt", "qat", "thinking",
    "think", "reasoning", "coder", "code", "math", "preview", "exp", "experimental", "static",
    "pertensor", "tensor", "channel", "dynamic", "quantized", "quantised", "mostly", "json", "text",
    "only", "fast", "latest", "final", "original", "converted", "turbo", "abliterated",
    "uncensored", "unsloth", "terminus", "speciale", "heretic",
})  # fmt: skip
"""Tuning and packaging: the layers stay as they are."""

_ANY = re.compile(r"[a-z]{3}")
ORGANISATIONS: dict[str, re.Pattern[str]] = {
    **dict.fromkeys((
        "meta", "mistralai", "deepseek-ai", "google", "nvidia", "openai", "microsoft", "thebloke",
        "bartowski", "unsloth", "moonshotai", "zai-org", "thudm", "tiiuae", "facebook", "ibm",
        "mradermacher", "lmstudio-community", "ggml-org", "mlx-community", "neuralmagic",
        "redhatai", "nousresearch", "eleutherai", "bigscience", "mosaicml", "salesforce",
        "minimaxai", "xiaomi", "stepfun-ai", "amazon", "meta-llama", "ubergarm",
    ), _ANY),
    "qwen": re.compile(r"q"),
    "mistral": re.compile(r"m[ai]\w+stral|mixtral|mistral"),
}  # fmt: skip
"""Publishers that files carry in front of the model, and what must follow for them to be one."""

CHANGING = frozenset({
    "mamba", "rwkv", "ssm", "linear", "hybrid", "recurrent", "retnet", "eagle", "medusa", "hydra",
    "draft", "drafter", "speculator", "mtp", "dflash", "pruned", "prune", "pruning", "reap",
    "minitron", "slim", "sheared", "moe", "merge", "mixture", "upscaled", "expanded", "pro", "vl",
    "vision", "visual", "vlm", "omni", "audio", "video", "multimodal", "speech", "tts", "image",
    "diffusion", "lora", "adapter", "bitnet", "lite", "mini", "small", "medium", "large", "tiny",
    "nano", "micro", "air", "flash", "plus", "max", "super", "ultra", "next", "big", "extreme",
    "guess", "unknown", "layerskip", "layers", "layer", "experts", "sparse", "nsa", "dsa", "moba",
    "matformer", "distilled", "lolcats", "hedgehog", "mla", "gqa", "mha", "swa", "converter",
    "encoder", "embed", "half", "double", "deep", "shallow", "wide", "random", "dummy", "self",
    "frankenmerge", "franken", "solar", "bert", "t5", "flan", "embedding", "reranker", "reward",
    "clip", "siglip", "llava", "blip", "instructblip", "minigpt", "idefics", "internvl", "cogvlm",
    "ocr", "vila", "mplug", "flamingo", "encodec", "whisper",
})  # fmt: skip
"""Words after which the layers may be others than those of the model named beside them."""

CLEANUPS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"-\d{5}-of-\d{5}$", ""),
        (r"[(, ]+(?:tp|pp|ep|dp) ?=? ?\d+\b\)?", ""),
        (r":", "-"),
        (r"(?<=instruct)\d", ""),
        (r"-v\d-\d$", ""),  # revisions of cloud catalogues: -v1:0
        (r"(?<=\d)p(?=\d)", "."),  # llama-v3p1
        (r"llama([-_ ]?)v?3[-_]([123])(?=[-_ ])", r"llama\1 3.\2"),  # llama-3-1-8b
        (r"qwen([-_ ]?)2[-_]5(?=[-_ ])", r"qwen\1 2.5"),
        (r"llama([-_ ]?)v(?=\d)", r"llama\1"),  # llama-v2-7b
        (r"codellama|code[-_ ]llama", "codellama"),
        (r"qwen35(?=moe|[-_ ]|$)", "qwen3.5"),  # names of architectures in GGUF files
        (r"qwen3next", "qwen3-next"),
        (r"hermes([-_ ]?)2([-_ ]?)pro", "hermes-2"),
        (r"deepseekr1", "deepseek-r1"),
        (r"deepseekv(?=\d)", "deepseek-v"),
        (r"deepseek-(?=[23](?:\.\d)?(?:[-_ ]|$))", "deepseek-v"),
        (r"gptoss", "gpt-oss"),
        (r"gpt([-_ ]?)neo([-_ ]?)x", "gpt-neox"),
    )
)
"""Spellings that would split into other words, applied in this order."""
