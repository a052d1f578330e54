"""`uvicorn MODULE:app` of llm-d's prediction server, answered by lengthwise."""

from lengthwise.interfaces.http.factory import prediction_app

app = prediction_app()
