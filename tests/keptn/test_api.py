"""What Keptn's API says, and what is made of it: lists, files, and replies that are not Keptn's."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx

from app.errors import Temporary
from app.keptn.api import Endpoint, KeptnApi
from app.keptn.resources import Resource
from app.outbound import Outbound
from tests.conftest import event

pytestmark = pytest.mark.asyncio(loop_scope="module")
EVENT = event()
BASE = "http://keptn.example"
OPEN = f"{BASE}/controlPlane/v1/event/triggered/{EVENT.type}"
LISTING = f"{BASE}/resource-service/v1/project/p/stage/s/service/svc/resource"


@pytest.fixture
def api(outbound: Outbound) -> Iterator[KeptnApi]:
    with respx.mock:
        yield KeptnApi(Endpoint(BASE, f"{BASE}/event", final=False), outbound)


async def test_a_list_is_read_to_its_last_page_and_its_names_are_relative(api: KeptnApi) -> None:
    pages: dict[str, tuple[list[Any], str]] = {
        "0": (["/a", "b+c%"], "2"),
        "2": ([None, 1, "d"], "0"),
    }

    def answer(request: httpx.Request) -> httpx.Response:
        names, following = pages[request.url.params["nextPageKey"]]
        listed = [{"resourceURI": name} for name in names]
        return httpx.Response(200, json={"resources": listed, "nextPageKey": following})

    respx.get(LISTING).mock(side_effect=answer)
    assert await api.listed(EVENT, "service") == ["a", "b+c%", "d"]


async def test_pages_that_lead_back_to_an_earlier_one_end_the_list(api: KeptnApi) -> None:
    following = {"0": "1", "1": "2", "2": "1"}

    def answer(request: httpx.Request) -> httpx.Response:
        page = request.url.params["nextPageKey"]
        named = {"resources": [{"resourceURI": page}], "nextPageKey": following[page]}
        return httpx.Response(200, json=named)

    respx.get(LISTING).mock(side_effect=answer)
    assert await api.listed(EVENT, "service") == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("status", "reply", "still_open"),
    [
        (200, {"events": [{"id": EVENT.id}]}, True),
        (200, {"events": [{"id": "another"}, None]}, False),
        (200, {"events": []}, False),
        (200, {"events": None}, False),
        (200, {"events": 5}, False),
        (200, {}, True),
        (404, {"code": 404, "message": "project not found"}, False),
        (404, {}, True),
    ],
)
async def test_only_keptns_own_word_closes_an_event(
    api: KeptnApi, status: int, reply: Any, *, still_open: bool
) -> None:
    respx.get(OPEN).respond(status, json=reply)
    assert await api.is_open(EVENT) is still_open


@pytest.mark.parametrize("ask", ["read", "listed"])
@pytest.mark.parametrize("text", ["404 page not found", '{"code": 404}', "[]"])
async def test_a_404_that_is_not_keptns_own_says_nothing(
    api: KeptnApi, ask: str, text: str
) -> None:
    everywhere = respx.get(url__startswith=BASE)
    everywhere.respond(404, text=text)
    with pytest.raises(Temporary):
        await asked(api, ask)
    everywhere.respond(404, json={"code": 404, "message": "not found"})
    assert not await asked(api, ask)


@pytest.mark.parametrize(
    ("home", "escaped"),
    [
        (home, escaped)
        for home in ("resource-service", "configuration-service")
        for escaped in ("job%2Fa+b", "job%252Fa%2Bb")
    ],
)
async def test_the_way_to_files_is_found_out_and_remembered(
    api: KeptnApi, home: str, escaped: str
) -> None:
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path.decode())
        if paths[-1].endswith(f"/{home}/v1/project/p/stage/s/service/svc/resource/{escaped}"):
            return httpx.Response(200, json={"resourceContent": ""})
        if paths[-1].endswith(f"/{home}/v1/project/p/stage/s/service/svc/resource/none"):
            return httpx.Response(404, json={"code": 404, "message": "Resource not found"})
        said = {"code": 404, "message": f"path {paths[-1]} was not found"}
        return httpx.Response(404, json=said)

    respx.get(url__startswith=BASE).mock(side_effect=answer)
    assert await api.read(EVENT, "job/a b", "service", "")
    paths.clear()
    assert await api.read(EVENT, "job/a b", "service", "")
    assert await api.read(EVENT, "none", "service", "") is None
    assert len(paths) == 2


@pytest.mark.parametrize("content", [5, ["a"], "*", "YQ", "YQ=", {}])
async def test_content_that_is_no_base64_is_asked_for_again(api: KeptnApi, content: Any) -> None:
    respx.get(f"{LISTING}/a").respond(json={"resourceContent": content})
    if content:
        with pytest.raises(Temporary):
            await api.read(EVENT, "a", "service", "")
    else:
        assert await api.read(EVENT, "a", "service", "") == Resource(b"", "service", "")


async def asked(api: KeptnApi, what: str) -> Any:
    if what == "read":
        return await api.read(EVENT, "a", "service", "")
    return await api.listed(EVENT, "service")
