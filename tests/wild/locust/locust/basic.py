# mypy: ignore-errors
"""One user who asks for the front page and counts what it holds."""

from locust import HttpUser, constant, task


class Visitor(HttpUser):
    wait_time = constant(0.05)

    @task
    def front_page(self) -> None:
        with self.client.get("/", catch_response=True) as reply:
            if "carts" not in reply.text:
                reply.failure("no carts on the front page")
