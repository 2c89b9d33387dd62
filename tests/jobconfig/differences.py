"""Every row of the vectors to which Firstmate answers otherwise than job-executor, by its reason.

A row that stands here and does not differ is a red test, as is one that differs unlisted.
"""

WHOLE = "whole numbers are written as integers, as they were sent"
LISTS = "lists are JSON"
NO_SCRIPT = "a path is only a path: no comparison, parentheses, comment, literal or computed key"
SLICES = "slices are those of the JSONPath standard, also from the end"
FILTERS = "filters are those of the JSONPath standard: with > ! &&, without constants"
NUMBER_KEYS = "a number as a key is written as an integer, and null is no key"
LENIENT = "a file without apiVersion is read, as job-executor 0.1.1 read it"
OLDER = "a file of apiVersion v1 is read, as job-executor 0.1.2 read it"
EVERY = "every matching action runs, in file order, also after one that answered or failed"
IMAGES = "which images are allowed is asked when a run is planned, and not by the reader"
LABEL = "a label that is no text is left out"
CRASH = "an event with a short id crashes job-executor"
PATTERN = "a pattern that does not compile is refused when the file is read, with its line"
TIME = "time is the text that was sent"

BEYOND = {
    "a: 1\na: 2\n": (False, "0.1.1 took the last of two values; the other was lost silently"),
    "actions: [{tasks: [{retries: 1}]}]": (
        False,
        "0.1.1 ignored the key; none of ours may be lost",
    ),
    "actions: [{tasks: [{image: i}]}]": (True, "0.1.1 ran an empty text; the image's own now runs"),
    "actions: [{tasks: [{cmd: [a]}]}]": (True, "0.1.1 took one text only; a later habit is read"),
    "actions: [{tasks: [{args: [a]}]}]": (
        True,
        "0.1.1 ignored the key; as all keys of v2, it counts",
    ),
}
"""Files without apiVersion of which no row speaks: whether they are read, and what was else."""

DIFFERENCES = {
    "cmd_split/config v1": {
        "config v1/no apiVersion": LENIENT,
        "config v1/valueFrom string fails later": "valueFrom string is read in old files too",
    },
    "job_names_labels/execute": {
        "execute/names of two tasks, second action never runs": EVERY,
        "execute/logs in the message": EVERY,
        "execute/non-test event": EVERY,
        "execute/second task fails": EVERY,
        "execute/create fails": EVERY,
        "execute/image not allowed": IMAGES,
        "execute/image of the first action allowed only": EVERY,
        "execute/image of the second action not allowed": IMAGES,
        "execute/event id '5d1c0b7e-92f4-4a63-8e21-7c0d9a4be316'": EVERY,
        "execute/event id '5d1c0b7e-92f4-4a63-8e21'": CRASH,
        "execute/event id 'abc'": CRASH,
        "execute/event id ''": CRASH,
        "execute/event id 'üüüüüüüüüüüüüüü'": EVERY,
        "execute/event id 'my_event/id with spaces and more'": EVERY,
        "execute/no tasks, then an action with tasks": EVERY,
        "execute/maxPollDuration negative": EVERY,
        "execute/numeric label": LABEL,
        "execute/data missing": EVERY,
        "execute/task namespace empty": EVERY,
        "execute/same task names": EVERY,
        "execute/percent in texts": EVERY,
        "execute/percent in image": IMAGES,
    },
    "yaml_typed": {
        "document/spaces only": LENIENT,
        "document/comment only": LENIENT,
        "document/null document": LENIENT,
        "document/no apiVersion": LENIENT,
        "document/apiVersion null": LENIENT,
        "document/apiVersion empty": LENIENT,
        "document/apiversion lower case": LENIENT + "; `check` tells of the key",
        "document/apiVersion v1": OLDER,
        "document/event name star quoted": PATTERN,
        "document/merge key in annotations": "YAML's own rule: a key beside a merged one wins",
        "document/yaml directive 1.2": "libyaml reads a header of version 1.2",
    },
    "yaml_scalars": {
        "string/!!int text": "an explicit type changes nothing in a text",
        "string/!!binary aGk=": "binary is refused",
    },
    "regexp": {
        "not in re2 or other in python/'(?P<nä>a)' on 'a'": "RE2 names groups in any letters"
    },
    "jsonpath": {
        "slices and unions/$.data.list[:-1]": SLICES,
        "slices and unions/$.data.list[4:0:-1]": SLICES,
        "slices and unions/$.data.project[0:1]": SLICES,
        "slices and unions/$.data.list[0:1,2]": SLICES,
        "small document/$.a.c[3::-1]": SLICES,
        "wildcards/$..[0]": "an index below `..` selects from lists, not the key 0 of a map",
        "filters and expressions/$.data.list[?@.v>1]": FILTERS,
        "filters and expressions/$.data.list[?(!@.t)]": FILTERS,
        'filters and expressions/$.data.list[?(@.k == "a" && @.v == 1)]': FILTERS,
        "filters and expressions/$.data.list[?true]": FILTERS,
        "filters and expressions/$.data.list[?false]": FILTERS,
        "filters and expressions/$.data.list[?1]": FILTERS,
        'filters and expressions/$.data.n == "5"': NO_SCRIPT,
        'filters and expressions/$.data.project == "bookshop"': NO_SCRIPT,
        'filters and expressions/$.data.project != "x"': NO_SCRIPT,
        "filters and expressions/$.data.list[0] == $.data.list[0]": NO_SCRIPT,
        "filters and expressions/($.data.project)": NO_SCRIPT,
        "filters and expressions/$.data.list(@)": NO_SCRIPT,
        'filters and expressions/$.data.list[*].k(@ == "a")': NO_SCRIPT,
        "without dollar and broken/data.list[-1]": "out of bounds is an error without $ too",
        "without dollar and broken/@": NO_SCRIPT,
        'without dollar and broken/"literal"': NO_SCRIPT,
        "without dollar and broken/'l'": NO_SCRIPT,
        "without dollar and broken/`raw`": NO_SCRIPT,
        "without dollar and broken/5": NO_SCRIPT,
        "without dollar and broken/1.50": NO_SCRIPT,
        "without dollar and broken/1e3": NO_SCRIPT,
        "without dollar and broken/false": NO_SCRIPT,
        "without dollar and broken/(data.project)": NO_SCRIPT,
        "without dollar and broken/$.data/*x*/.project": NO_SCRIPT,
        "small document/$.a.c[$.a.b]": NO_SCRIPT,
        'other documents/{"1e+06": "x"} $[1000000]': NUMBER_KEYS,
        'other documents/{"1000000": "x"} $[1000000]': NUMBER_KEYS,
        'other documents/{"<nil>": "x"} $[null]': NUMBER_KEYS,
    },
    "jsonpath_match": {
        "match/float": "match equals the JSON text of a number",
        "match/true": "match equals the JSON text of a boolean",
        "match/literal path": NO_SCRIPT,
        "match/invalid pattern": PATTERN,
        "mapped event/$.type sh.keptn.event.test.triggered": "type is a text",
        "mapped event/type sh.keptn.event.test.triggered": "type is a text",
        "mapped event/$.source test-events": "source is a text",
        "mapped event/no source $.source": "the door refuses an event without a source",
        "mapped event/$.time 2023-05-17T08:21:44.305Z": TIME,
        "mapped event/no time $.time": TIME,
    },
    "env_format": {
        "number plain/-0": WHOLE,
        "number plain/1234567": WHOLE,
        "number plain/20220221": WHOLE,
        "number plain/1e6": WHOLE,
        "number plain/123456789012345678": WHOLE,
        "number plain/9007199254740993": WHOLE,
        "number json/-0": WHOLE,
        "number json/9007199254740993": WHOLE,
        "number yaml/-0": WHOLE,
        "number yaml/1000000": WHOLE,
        "number yaml/1234567": WHOLE,
        "number yaml/9007199254740993": WHOLE,
        "kind plain/map numbers": WHOLE,
        "kind json/map numbers": WHOLE,
        "kind yaml/map numbers": WHOLE,
        "kind yaml/list of numbers": WHOLE,
        "kind plain/list of numbers": LISTS,
        "kind plain/list mixed": LISTS,
        "kind plain/list of maps": LISTS,
        "kind plain/nested lists": LISTS,
        "as spelling list/'Json '": LISTS,
        "as spelling list/'text'": LISTS,
        "string yaml/'\\u2028\\u2029'": "libyaml folds line separators otherwise than yaml.v2",
        "task env/order and built-ins": WHOLE,
        "task env/single quoted key": WHOLE,
        "task env/wildcard list": LISTS,
        "task env/numeric label": LABEL,
    },
}
