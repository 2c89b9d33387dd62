"""The second port: /health, /ready and /metrics, and nothing that changes anything."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Response

from app.metrics import Metrics


def create(metrics: Metrics, obstacle: Callable[[], Awaitable[str]]) -> FastAPI:
    """The web application of the second port; `obstacle` tells why no event can be accepted."""
    app = FastAPI(title="Firstmate's operations", openapi_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Alive while the loop turns; says nothing of Keptn."""
        return {"status": "OK"}

    @app.get("/ready")
    async def ready(response: Response) -> dict[str, str]:
        """Ready when events can be accepted."""
        if why := await obstacle():
            response.status_code = 503
        return {"status": why or "OK"}

    @app.get("/metrics")
    async def figures() -> Response:
        """All figures, for Prometheus."""
        return Response(metrics.render(), media_type="text/plain; version=0.0.4")

    return app
