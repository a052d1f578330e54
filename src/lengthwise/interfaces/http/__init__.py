"""The service over HTTP: the native API, llm-d's two servers, metrics, and a typed client."""
