"""Which formulation extrapolates? Fit on short prompts of our own measurements, test on long."""

import lengthwise

table = lengthwise.dataset("own-openvino-cpu")
prefill = table[(table["phase"] == "prefill") & (table["batch_size"] == 1)]
result = lengthwise.evaluate(
    prefill,
    split="length",
    factor=4,
    formulations=["hachiya-patias", "linear", "power", "cubic-ols"],
)
board = lengthwise.leaderboard(result).sort_values("median")
print(board[["formulation", "median", "worst"]].round(1).to_string(index=False))
print("median and worst MAPE over two models, percent; trained on lengths up to 4,096 of 16,384")
