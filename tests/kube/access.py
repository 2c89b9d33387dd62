"""What the double says of rights, to whoever asks about his own; any account of a cluster may."""

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from tests.kube.server import Kube

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


async def review(kube: "Kube", request: web.Request) -> web.Response:
    """The SelfSubjectAccessReview with its status."""
    if request.headers.get("Authorization") != f"Bearer {kube.token}":
        return web.json_response({"message": "Unauthorized"}, status=401)
    if not kube.reviewing:
        return web.json_response({"message": "no reviews for you"}, status=403)
    body = await request.json()
    asked = body["spec"]["resourceAttributes"]
    assert asked["group"] == ("batch" if asked["resource"] == "jobs" else ""), asked
    resource = f"{asked['resource']}/{asked['subresource']}".rstrip("/")
    given = (asked["verb"], resource) in kube.rights.allowed
    given = given and asked["namespace"] not in kube.closed
    return web.json_response(body | {"status": {"allowed": given}}, status=201)
