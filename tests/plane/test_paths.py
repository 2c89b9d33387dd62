"""Keptn's APIs, rule by rule: paths, bodies and status codes as Keptn's clients use them.

A row is a rule in words and the calls that show it: METHOD PATH [JSON] -> CODE [JSON], where the
answer has at least the given keys. `$BASE64(text)`, and `$1`, the first id that was answered.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.plane.house import Plane
from tests.plane.keptn import TOKEN, Client, VirtualClock, client_of, settings

pytestmark = pytest.mark.slow

SHORT = {
    "cp": "/api/controlPlane/v1",
    "rs": "/api/resource-service/v1/project/shop",
    "cs": "/api/configuration-service/v1/project/shop",
    "md": "/api/mongodb-datastore",
    "v1": "/api/v1",
}
SHIPYARD = """apiVersion: spec.keptn.sh/0.2.4
spec: {stages: [{name: dev, sequences: [{name: go, tasks: [{name: test}]}]}, {name: prod}]}
"""
MADE = 'POST cp/project {"name": "shop", "shipyard": "$SHIPYARD"} -> 201 {}'
ME = (
    '{"name": "me", "metadata": {"hostname": "h", "integrationversion": "1",'
    ' "kubernetesmetadata": {"namespace": "n"}},'
    ' "subscriptions": [{"event": "sh.keptn.event.test.triggered",'
    ' "filter": {"projects": ["shop"]}}]}'
)
FILE = '"resourceURI": "job/config.yaml", "resourceContent": "$BASE64(one)"'

PROJECTS = f"""
a project is made with its shipyard
    {MADE}
    GET cp/project/shop -> 200 {{"projectName": "shop", "shipyardVersion": "spec.keptn.sh/0.2.4"}}
a project is made once
    {MADE}
    POST cp/project {{"name": "shop", "shipyard": "$SHIPYARD"}} -> 409 {{"code": 409}}
the served folder is a project too
    POST cp/project {{"name": "bookshop", "shipyard": "$SHIPYARD"}} -> 409
a name is a name
    POST cp/project {{"name": "../x", "shipyard": "$SHIPYARD"}} -> 400
a shipyard is one
    POST cp/project {{"name": "shop", "shipyard": "$BASE64(no)"}} -> 400
    POST cp/project {{"name": "shop", "shipyard": "$BASE64(apiVersion: spec.keptn.sh/0.2.4
spec: {{stages: [{{name: dev, sequences: [{{name: go, tasks: [{{name: ''}}]}}]}}]}})"}} -> 400
    POST cp/project {{"name": "shop", "shipyard": "%"}} -> 400
    GET cp/project/shop -> 404
projects come in pages
    {MADE}
    GET cp/project?pageSize=1 -> 200 {{"nextPageKey": "1", "totalCount": 2}}
    GET cp/project?pageSize=1&nextPageKey=1 -> 200 {{"nextPageKey": "0", "totalCount": 2}}
    GET cp/project?pageSize=1&nextPageKey= -> 200 {{"nextPageKey": "1", "totalCount": 2}}
a changed shipyard changes the stages
    {MADE}
    PUT rs/resource/shipyard.yaml {{"resourceContent": "$BASE64(apiVersion: spec.keptn.sh/0.2.4
spec: {{stages: [{{name: qa}}]}})"}} -> 200
    GET cp/project/shop/stage -> 200 {{"stages": [{{"stageName": "qa", "services": []}}]}}
    GET cp/project/shop/stage/dev -> 404 {{"message": "Stage not found"}}
a project that is not there is 404
    GET cp/project/shop -> 404 {{"message": "Project not found"}}
    DELETE cp/project/shop -> 404
    GET cp/event/triggered/sh.keptn.event.test.triggered?project=shop -> 404
    GET cp/sequence-execution?project=shop -> 404
a project is deleted with what it holds
    {MADE}
    POST rs/resource {{"resources": [{{{FILE}}}]}} -> 201
    DELETE cp/project/shop -> 200
    GET cp/project/shop -> 404
    GET rs/resource/job%2Fconfig.yaml -> 404
    {MADE}
    GET rs/resource/job%2Fconfig.yaml -> 404 {{"message": "Resource not found"}}
the served folder is not deleted
    DELETE cp/project/bookshop -> 409
a service is made in every stage
    {MADE}
    POST cp/project/shop/service {{"serviceName": "cart"}} -> 200
    GET cp/project/shop/stage/dev/service/cart -> 200 {{"serviceName": "cart"}}
    GET cp/project/shop/stage/prod/service -> 200 {{"totalCount": 1, "nextPageKey": "0"}}
    POST cp/project/shop/service {{"serviceName": "cart"}} -> 409
    POST cp/project/shop/service {{"serviceName": "Carts_DB"}} -> 200
    POST cp/project/shop/service {{"serviceName": "a/b"}} -> 400
    POST cp/project/shop/service {{"serviceName": ".."}} -> 400
    POST cp/project/none/service {{"serviceName": "cart"}} -> 404
a service is deleted with its files
    {MADE}
    POST cp/project/shop/service {{"serviceName": "cart"}} -> 200
    POST rs/stage/dev/service/cart/resource {{"resources": [{{{FILE}}}]}} -> 201
    DELETE cp/project/shop/service/cart -> 200
    GET cp/project/shop/stage/dev/service/cart -> 404 {{"message": "Service not found"}}
    DELETE cp/project/shop/service/cart -> 404
    GET rs/stage/dev/resource -> 200 {{"resources": []}}
"""

CONTROL = """
open events of all projects are listed without one, and of a project that is there
    GET cp/event/triggered/sh.keptn.event.test.triggered -> 200 {"events": [], "nextPageKey": "0"}
a run that is not there can be controlled without effect
    POST cp/sequence/bookshop/none/control {"state": "abort"} -> 200 {}
    POST cp/sequence/bookshop/none/control {"state": "resume", "stage": "dev"} -> 200 {}
no other word controls
    POST cp/sequence/bookshop/none/control {"state": "stop"} -> 400
runs of a project that has none are none
    GET cp/sequence/none -> 200 {"states": []}
executions want a project
    GET cp/sequence-execution -> 400
log entries are kept
    POST cp/log {"logs": [{"integrationid": "i", "message": "m", "task": "t"}]} -> 200
    GET cp/log?integrationId=i -> 200 {"totalCount": 1}
    GET cp/log?fromTime=2001-01-01 -> 400
the time that Go never set is the present
    POST cp/log {"logs": [{"integrationid": "i", "time": "0001-01-01T00:00:00Z"}]} -> 200
    GET cp/log?fromTime=2001-01-01T00:00:00.000Z -> 200 {"totalCount": 1}
metadata tell the version
    GET v1/metadata -> 200 {"keptnversion": "1.4.5", "shipyardversion": "0.2.0"}
the token can be tried
    POST v1/auth -> 200
    GET v1/auth -> 200
"""

UNIFORM = f"""
a first registration is 201, the next 200
    POST cp/uniform/registration {ME} -> 201 {{"id": "dc4089081654a0b34379f91f96ff2d22e6d0bf52"}}
    POST cp/uniform/registration {ME} -> 200
the id is made of name, namespace and host; the entry is found without the host
    POST cp/uniform/registration {ME} -> 201
    POST cp/uniform/registration {ME.replace('"h"', '"other"')} -> 200 {{"id": "$1"}}
name, namespace and host must be there
    POST cp/uniform/registration {ME.replace('"me"', '""')} -> 400
    POST cp/uniform/registration {ME.replace('"n"', '""')} -> 400
    POST cp/uniform/registration {ME.replace('"h"', '""')} -> 400
a second registration changes versions, not subscriptions
    POST cp/uniform/registration {ME} -> 201
    POST cp/uniform/registration {ME.replace('"1"', '"2"').replace("test", "x")} -> 200
    PUT cp/uniform/registration/$1/ping -> 200 {{"name": "me", "id": "$1"}}
    GET cp/uniform/registration?name=me -> 200 "integrationversion": "2"
    GET cp/uniform/registration?name=me -> 200 "event": "sh.keptn.event.test.triggered"
subscriptions that a registration has not are taken from the next
    POST cp/uniform/registration {ME.split(', "subscr', maxsplit=1)[0]}}} -> 201
    POST cp/uniform/registration {ME} -> 200
    GET cp/uniform/registration/$1/subscription -> 200 "event": "sh.keptn.event.test.triggered"
who is not known cannot ping
    PUT cp/uniform/registration/none/ping -> 404
    GET cp/uniform/registration/none/subscription -> 404
integrations are found by place
    POST cp/uniform/registration {ME} -> 201
    GET cp/uniform/registration?project=shop -> 200 "name": "me"
    GET cp/uniform/registration?project=other -> 200 []
    GET cp/uniform/registration?hostname=other -> 200 []
an integration can go
    POST cp/uniform/registration {ME} -> 201
    DELETE cp/uniform/registration/$1 -> 200
    PUT cp/uniform/registration/$1/ping -> 404
subscriptions are added, changed and removed one by one
    POST cp/uniform/registration {ME} -> 201
    POST cp/uniform/registration/$1/subscription {{"event": "a", "filter": {{}}}} -> 201
    GET cp/uniform/registration/$1/subscription/$2 -> 200 {{"event": "a"}}
    PUT cp/uniform/registration/$1/subscription/$2 {{"event": "b", "filter": {{}}}} -> 201
    GET cp/uniform/registration/$1/subscription/$2 -> 200 {{"event": "b", "id": "$2"}}
    DELETE cp/uniform/registration/$1/subscription/$2 -> 200
    GET cp/uniform/registration/$1/subscription/$2 -> 404
    POST cp/uniform/registration/$1/subscription {{"filter": {{}}}} -> 400
"""

RESOURCES = f"""
resources are made, read, changed and deleted on every level
    {MADE}
    POST cp/project/shop/service {{"serviceName": "cart"}} -> 200
    POST rs/resource {{"resources": [{{{FILE}}}]}} -> 201
    PUT rs/stage/dev/resource {{"resources": [{{{FILE}}}]}} -> 200
    PUT rs/stage/dev/service/cart/resource/a+b%2Fc {{"resourceContent": "$BASE64(two)"}} -> 200
    GET rs/resource/job%2Fconfig.yaml -> 200 {{"resourceContent": "$BASE64(one)"}}
    GET rs/stage/dev/resource/job%2Fconfig.yaml -> 200 {{"resourceContent": "$BASE64(one)"}}
    GET rs/stage/dev/service/cart/resource/a+b%2Fc -> 200 {{"resourceURI": "a+b%2Fc"}}
    DELETE rs/stage/dev/resource/job%2Fconfig.yaml -> 200
    GET rs/stage/dev/resource/job%2Fconfig.yaml -> 404 {{"message": "Resource not found"}}
    DELETE rs/stage/dev/resource/job%2Fconfig.yaml -> 404
what a level names is there
    {MADE}
    POST rs/stage/none/resource {{"resources": [{{{FILE}}}]}} -> 404
    GET rs/stage/none/resource -> 404 {{"message": "Stage not found"}}
    POST rs/stage/dev/service/none/resource {{"resources": [{{{FILE}}}]}} -> 404
a name stays inside its level, in plain sight
    {MADE}
    PUT rs/resource/..%2Fx {{"resourceContent": ""}} -> 400 {{"message": "Invalid resource URI"}}
    PUT rs/resource/~x {{"resourceContent": ""}} -> 400
    PUT rs/resource/.git%2Fconfig {{"resourceContent": ""}} -> 400
    PUT rs/resource/a%2F.b {{"resourceContent": ""}} -> 400
    PUT rs/resource/stages%2Fdev%2Fx {{"resourceContent": ""}} -> 400
    PUT rs/resource/%00 {{"resourceContent": ""}} -> 400
    PUT rs/resource/LONG {{"resourceContent": ""}} -> 400
    PUT rs/stage/dev/resource/a%2Fb {{"resourceContent": ""}} -> 200
    PUT rs/stage/dev/resource/a {{"resourceContent": ""}} -> 400
    DELETE rs/stage/dev/resource/a -> 400
    GET rs/stage/dev/resource -> 200 {{"resources": [{{"resourceURI": "/a/b"}}]}}
    PUT rs/resource/shipyard.yaml%2Fx {{"resourceContent": ""}} -> 400
    PUT rs/stage/dev/resource/%2Fetc%2Fpasswd {{"resourceContent": "$BASE64(mine)"}} -> 200
    GET rs/stage/dev/resource/etc%2Fpasswd -> 200 {{"resourceContent": "$BASE64(mine)"}}
    POST rs/stage/dev/resource {{"resources": [{{"resourceURI": "./empty"}}]}} -> 201
    GET rs/stage/dev/resource/empty -> 200 {{"resourceContent": ""}}
    POST rs/resource {{"resources": [{{"resourceContent": ""}}]}} -> 400
a name is escaped once, or twice for a gateway
    {MADE}
    PUT rs/stage/dev/resource/a%252Fb {{"resourceContent": "$BASE64(two)"}} -> 200
    GET rs/stage/dev/resource/a%2Fb -> 200 {{"resourceContent": "$BASE64(two)"}}
    GET rs/stage/dev/resource/a%252Fb -> 200 {{"resourceURI": "a%2Fb"}}
    PUT rs/stage/dev/resource/50%2525 {{"resourceContent": "$BASE64(percent)"}} -> 200
    GET rs/stage/dev/resource/50%25 -> 200 {{"resourceContent": "$BASE64(percent)"}}
slashes are merged, and an older home of the files leads there
    {MADE}
    POST rs//resource {{"resources": [{{"resourceURI": "x", "resourceContent": ""}}]}} -> 201
    GET cs/resource/x -> 200
contents are base64
    {MADE}
    PUT rs/resource/x {{"resourceContent": "%%%"}} -> 400
a shipyard that cannot be read is not taken
    {MADE}
    PUT rs/resource/shipyard.yaml {{"resourceContent": "$BASE64(none)"}} -> 400
    GET rs/resource/shipyard.yaml -> 200 {{"resourceContent": "$SHIPYARD"}}
lists come in pages, without contents
    {MADE}
    PUT rs/stage/dev/resource/a {{"resourceContent": ""}} -> 200
    PUT rs/stage/dev/resource/b {{"resourceContent": ""}} -> 200
    GET rs/stage/dev/resource?pageSize=1 -> 200 {{"totalCount": 2, "nextPageKey": "1"}}
    GET rs/stage/dev/resource?nextPageKey=1 -> 200 {{"resources": [{{"resourceURI": "/b"}}]}}
an unknown commit is 500
    {MADE}
    GET rs/stage/dev/resource/a?gitCommitID=none -> 500
"""

DATASTORE = """
a page holds 1 to 100
    GET md/event?pageSize=0 -> 422
    GET md/event?pageSize=101 -> 422
    GET md/event?keptnContext=x -> 200 {"events": [], "pageSize": 20}
events of no project are listed without one
    POST v1/event {"type": "sh.keptn.log.error", "source": "s", "data": {}} -> 200
    GET md/event -> 200 {"totalCount": 1}
    GET md/event?project=bookshop -> 200 {"events": []}
"""

SECTIONS = {
    "projects": PROJECTS,
    "sequences and logs": CONTROL,
    "uniform": UNIFORM,
    "resources": RESOURCES,
    "datastore": DATASTORE,
}
CALL = re.compile(r"(\w+) (\S+)(?: (\{.*\}))? -> (\d+) ?(.*)", re.DOTALL)


def rows() -> list[Any]:
    found: list[Any] = []
    for section, text in SECTIONS.items():
        for block in re.split(r"\n(?=\S)(?!spec)", text.strip()):
            rule, *calls = re.split(r"\n    ", block)
            found.append(pytest.param(calls, id=f"{section}: {rule}"))
    return found


def _filled(text: str, ids: list[str]) -> str:
    text = text.replace("LONG", "x" * 5000).replace(
        "$SHIPYARD", base64.b64encode(SHIPYARD.encode()).decode()
    )
    encode = lambda found: base64.b64encode(found[1].encode()).decode()  # noqa: E731
    text = re.sub(r"\$BASE64\((.*?)\)(?=\")", encode, text, flags=re.DOTALL)
    return re.sub(r"\$(\d)", lambda found: ids[int(found[1]) - 1], text)


@pytest.mark.parametrize("calls", rows())
async def test_the_api_keeps_the_rule(keptn: Client, calls: list[str]) -> None:
    ids: list[str] = []
    for call in calls:
        parts = CALL.fullmatch(_filled(call, ids))
        assert parts, call
        method, path, body, code, expected = parts.groups()
        short, _, rest = path.partition("/")
        answer = await keptn.http.request(
            method, f"{SHORT[short]}/{rest}", json=json.loads(body) if body else None
        )
        assert answer.status_code == int(code), (call, answer.text)
        if expected.startswith(('"', "[")):
            assert expected in json.dumps(answer.json())
        elif expected:
            assert json.loads(expected).items() <= answer.json().items()
        if method == "POST" and "id" in answer.json():
            ids.append(answer.json()["id"])


async def test_versions_pin_what_was_written(keptn: Client) -> None:
    path = f"{SHORT['rs'].replace('shop', 'bookshop')}/stage/dev/resource/a"
    versions = []
    for text in ("b25l", "dHdv"):
        answer = await keptn.http.put(path, json={"resourceContent": text})
        versions.append(answer.json()["commitID"])
    assert (await keptn.http.delete(path)).status_code == 200
    for version, text in zip(versions, ("b25l", "dHdv"), strict=True):
        found = await keptn.get(path, gitCommitID=version)
        assert (found["resourceContent"], found["metadata"]["version"]) == (text, version)


async def test_what_is_written_over_the_api_is_in_the_users_folder(
    keptn: Client, folder: Path
) -> None:
    level = f"{SHORT['rs'].replace('shop', 'bookshop')}/stage/dev/service/basket/resource"
    await keptn.trigger()
    written = {"resources": [{"resourceURI": "job/config.yaml", "resourceContent": "b25l"}]}
    assert (await keptn.http.post(level, json=written)).status_code == 201
    file = folder / "stages/dev/services/basket/job/config.yaml"
    assert file.read_text() == "one"
    assert [path.name for path in file.parent.iterdir()] == ["config.yaml"]


async def test_a_made_project_runs_its_sequences_and_is_there_after_a_restart(
    plane: Plane, keptn: Client, folder: Path
) -> None:
    shipyard = base64.b64encode(SHIPYARD.encode()).decode()
    made = await keptn.http.post(f"{SHORT['cp']}/project", json={"name": "s", "shipyard": shipyard})
    assert made.status_code == 201
    plane.close()
    again = Plane(settings(folder), VirtualClock())
    async with client_of(again) as http:
        shop = Client(http, project="s")
        context = await shop.trigger("dev.go")
        await shop.do("test")
        assert await shop.state(context) == "finished"
        served = await shop.get(f"{SHORT['cp']}/sequence-execution", project="bookshop")
        assert served == {"sequenceExecutions": []}
        assert [
            one["projectName"] for one in (await shop.get(f"{SHORT['cp']}/project"))["projects"]
        ] == ["bookshop", "s"]
    again.close()


async def test_strangers_are_slowed_down_and_who_knows_the_token_never(
    keptn: Client, clock: VirtualClock
) -> None:
    async def ask(token: str) -> int:
        return (await keptn.http.post("/api/v1/auth", headers={"x-token": token})).status_code

    assert [await ask("no") for _ in range(4)] == [401, 401, 429, 429]
    assert await ask(TOKEN) == 200
    assert [await ask("no") for _ in range(3)] == [401, 401, 429]
    clock.pass_by(1.0)
    assert [await ask("no") for _ in range(2)] == [401, 429]


async def test_a_link_leads_no_writer_out_of_the_folder(
    keptn: Client, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (folder / "link").symlink_to(tmp_path / "outside")
    answer = await keptn.http.put(
        f"{SHORT['rs'].replace('shop', 'bookshop')}/resource/link%2Fx", json={"resourceContent": ""}
    )
    assert answer.status_code == 400
    assert list((tmp_path / "outside").iterdir()) == []
