"""What `read` says about a file: the values, or every wrong line with its remedy."""

from textwrap import dedent

import pytest

from app.document.tree import MAX_DEPTH, MAX_NODES
from app.document.typed import FileError
from app.jobconfig.read import read, readable_event_names

KNOWN = "use v2, firstmate/v1 or v1"


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(FileError) as error:
        read(dedent(text), "job/config.yaml")
    assert str(error.value) == "; ".join(error.value.problems)
    assert "\n" not in str(error.value)
    return error.value.problems


def task(line: str) -> str:
    return f"apiVersion: v2\nactions:\n- name: a\n  tasks:\n  - name: t\n    {line}\n"


def test_a_file_of_the_seed_walk_is_read() -> None:
    config = read(
        dedent("""\
        apiVersion: v2
        actions:
          - name: "Hello, Botkuber!"
            events:
              - name: "sh.keptn.event.remote-task.triggered"
            tasks:
              - name: "Say Hello"
                image: "alpine"
                cmd: [echo]
                args: ["Hello World"]
        """)
    )
    (action,) = config.actions
    assert action.name == "Hello, Botkuber!"
    assert action.events[0].name == "sh.keptn.event.remote-task.triggered"
    (job,) = action.tasks
    assert (job.image, job.cmd, job.args) == ("alpine", ("echo",), ("Hello World",))


def test_an_absent_deadline_is_not_a_deadline_of_nothing() -> None:
    assert read(task("image: x")).actions[0].tasks[0].max_poll_duration is None
    assert read(task("maxPollDuration: 0")).actions[0].tasks[0].max_poll_duration == 0


def test_present_but_empty_resources_are_told_from_absent_ones() -> None:
    assert read(task("image: x")).actions[0].tasks[0].resources is None
    assert read(task("resources: {}")).actions[0].tasks[0].resources is not None


def test_every_problem_of_a_file_is_named_with_its_line_first_line_first() -> None:
    text = """\
        apiVersion: v2
        actions:
        - name: a
          image: x
          event: [x]
          silent: perhaps
          tasks:
          - cmd: echo hi
            maxPollDuration: "60"
            name: [a]
            name: b
    """
    line, action, whole = "job/config.yaml:", "actions[0]", "must be a whole number without quotes"
    assert problems(text) == (
        f"{line}4:3: {action}.image: unknown key, did you mean `image` (a key of Task)?",
        f"{line}5:3: {action}.event: unknown key, did you mean `events` (a key of Action)?",
        f'{line}6:11: {action}.silent: must be true or false, not the text "perhaps"',
        f'{line}8:10: {action}.tasks[0].cmd: must be a list such as [a, b], not the text "echo hi"',
        f'{line}9:22: {action}.tasks[0].maxPollDuration: {whole}, not the text "60"',
        f"{line}11:5: key `name` is written twice",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# c\napiVersion: 2", f"2:13: apiVersion 2 is not supported, {KNOWN}"),
        ("apiVersion: v3\nfoo: 1", f"1:13: apiVersion v3 is not supported, {KNOWN}"),
        ("apiVersion: [v2]", "1:13: apiVersion: must be a text, not a list"),
        ("- a", "1:1: must be a mapping, not a list"),
        (
            "apiVersion: v2\nactions: {a: b}",
            "2:10: actions: must be a list such as [a, b], not a mapping",
        ),
        ("a: [\n", "2:1: no valid YAML: did not find expected node content"),
        ("a: 1\nb: \x00", "2:4: no valid YAML: the character '\\x00' is not allowed"),
        ("a: 1\nb: \ud800", "2:4: no valid YAML: the character '\\ud800' is not allowed"),
        ("a: *x", "1:4: no &x stands before *x"),
        ("a: &x [*x]", "1:8: no &x stands before *x"),
        ("<<: x", "1:5: `<<` takes a mapping or a list of mappings"),
        ("? [a]\n: x\napiVersion: v2", "1:3: a key must be a text"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_line(text: str, problem: str) -> None:
    assert problems(text) == (f"job/config.yaml:{problem}",)


@pytest.mark.parametrize("pattern", ["*", "*.triggered", "a{2000}", "(?=a)"])
def test_a_pattern_that_does_not_compile_is_refused_with_the_remedy(pattern: str) -> None:
    text = f"apiVersion: v2\nactions:\n- events:\n  - name: '{pattern}'\n"
    (problem,) = problems(text)
    assert problem.startswith(
        "job/config.yaml:4:11: actions[0].events[0].name: no regular expression"
    )
    assert r"write .*\.triggered$" in problem


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "ttlSecondsAfterFinished: 2147483648",
            'be 2147483647 or less, not the number "2147483648"',
        ),
        (
            "maxPollDuration: -9223372036854775809",
            "be -9223372036854775808 or more, not the number",
        ),
        ("retries: -1", 'be 0 or more, not the number "-1"'),
        ("retries: 101", 'be 100 or less, not the number "101"'),
        ("retries: many", 'be a whole number without quotes, not the text "many"'),
        ("activeDeadlineSeconds: 0", 'be 1 or more, not the number "0"'),
        ("logs: [always]", "be one of 'always', 'onFailure' or 'never', not a list"),
        ("logs: onfailure", "'never', not the text \"onfailure\", did you mean `onFailure`?"),
        ("onFailure: fial", 'not the text "fial", did you mean `fail`?'),
        ("network: host", "be one of 'default' or 'none', not the text \"host\""),
        ("network: {a: b}", "be one of 'default' or 'none', not a mapping"),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_what_is_possible(line: str, problem: str) -> None:
    (said,) = problems(task(line).replace("v2", "firstmate/v1"))
    column = 4 + len(line.partition(": ")[0]) + 3
    assert said.startswith(f"job/config.yaml:6:{column}: actions[0].tasks[0].")
    assert problem in said


def test_no_text_of_the_file_breaks_a_problems_line() -> None:
    key = '"a\\nb\\x1b\\u2028"'
    text = f"apiVersion: v2\nactions: {key}\n{key}: 1\n{key}: 2\n"
    for problem in problems(text):
        assert problem.isprintable()


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000 + "x", "{a: " * 100_000])
def test_deep_nesting_is_refused(text: str) -> None:
    (problem,) = problems(text)
    assert "nested too deeply" in problem
    assert read(task("args: [" + "a, " * 1000 + "]")).actions
    assert MAX_DEPTH < 1000


def test_aliases_that_multiply_are_refused() -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (problem,) = problems("a0: &a0 [x]\n" + "\n".join(levels))
    assert "repeated too often by aliases" in problem
    assert MAX_NODES < 10**9


def test_an_anchor_may_be_set_twice() -> None:
    config = read("apiVersion: v2\nactions: [{name: &n a}, {name: &n b}, {name: *n}]")
    assert [action.name for action in config.actions] == ["a", "b", "b"]


def test_names_are_read_from_a_file_whose_keys_are_wrong() -> None:
    text = "actions:\n- foo: 1\n  events: [{name: test.triggered}, {name: '*'}, x, {name: [y]}]\n"
    assert readable_event_names(text) == ["test.triggered"]


def test_names_are_read_from_a_file_that_is_no_yaml() -> None:
    text = dedent("""\
        actions:
        - name: not this
          events:
          - name: first  # why
            jsonpath:
              property: $.data
          - jsonpath: {property: x}

            name: "second one"
          tasks:
          - name: not this
            args: [
        - events: [{name: 'third'}, {"name": fourth}]
          name: not this
        - name: not this
          events:
            - name: '*.broken'
            - name: fifth
    """)
    names = readable_event_names(text)
    assert names == ["first", "second one", "third", "fourth", "fifth"]
