"""Power and energy: from what a step computes and moves to watts, joules and tokens per joule."""
