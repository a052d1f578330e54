"""Timing any OpenAI-compatible server over HTTP.

What the words mean here, always by the clock of the client:

- *scheduled*: when the request ought to leave (its arrival in an open loop, the moment its slot
  became free in a closed one);
- *send*: the instant before its first byte is written, on a connection that is ready;
- *client queue time* = send - scheduled: waiting for this client, never part of the other figures;
- *TTFT* = arrival of the first token - send;
- *ITL* = the gaps between tokens, a list, where each token has a chunk of its own;
- *TPOT* = (last - first arrival) / (osl - tokens in the first arrival), mostly osl - 1, undefined
  below two tokens;
- *E2E* = arrival of the chunk that ends the answer - send; usage and ``[DONE]`` may follow later.

A chunk is not a token: TTFT and TPOT are given where the chunks account for the tokens that the
server counts, see :mod:`~.reconcile`, and left out with a reason where they do not.

Arrival is when the kernel of this machine received the bytes (Linux, plain HTTP); elsewhere it is
when this process read them, and the summary warns when it came late to that.
"""
