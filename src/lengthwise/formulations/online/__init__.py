"""Laws that learn from live traffic: what a router knows in, TTFT and TPOT with quantiles out."""
