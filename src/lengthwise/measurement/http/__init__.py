"""Timing any OpenAI-compatible server over HTTP.

What the words mean here, always by the clock of the client:

- *scheduled*: when the request ought to leave (its arrival in an open loop, the moment its slot
  became free in a closed one);
- *send*: the instant before its first byte is written, on a connection that is ready;
- *client queue time* = send - scheduled: waiting for this client, never part of the other figures;
- *TTFT* = arrival of the first chunk with text - send;
- *ITL* = the gaps between chunks with text, a list;
- *TPOT* = (last chunk with text - first) / (osl - 1), undefined below two tokens;
- *E2E* = last byte of the answer - send.

Arrival is when the kernel of this machine received the bytes (Linux, plain HTTP); elsewhere it is
when this process read them, and the summary warns when it came late to that.
"""
