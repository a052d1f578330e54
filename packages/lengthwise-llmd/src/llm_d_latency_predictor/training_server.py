"""`uvicorn MODULE:app` of llm-d's training server, answered by lengthwise."""

from lengthwise.interfaces.http.factory import training_app

app = training_app()
