"""The second port: /health, /ready and /metrics, and nothing that changes anything."""

from collections.abc import Callable

from fastapi import FastAPI, Response

from app.metrics import Metrics


def create(metrics: Metrics, is_ready: Callable[[], bool]) -> FastAPI:
    """The web application of the second port."""
    app = FastAPI(title="Firstmate's operations", openapi_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Alive while the loop turns; says nothing of Keptn."""
        return {"status": "OK"}

    @app.get("/ready")
    async def ready(response: Response) -> dict[str, str]:
        """Ready when events can be accepted."""
        if is_ready():
            return {"status": "OK"}
        response.status_code = 503
        return {"status": "stopping"}

    @app.get("/metrics")
    async def figures() -> Response:
        """All figures, for Prometheus."""
        return Response(metrics.render(), media_type="text/plain; version=0.0.4")

    return app
