"""Policy files: read as YAML 1.2, refused with the file and the field by name."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.reader import Reader

from tertium_server.policy import Policy, PolicyError, default_policy, dump_policy, load_policy, parse_policy
from tests.policies import plain_data, plain_policy, policy_with


def data(**changes: object) -> dict[str, Any]:
    """The plain policy's data, some of it perhaps changed; "__" goes a section down."""
    result = plain_data()
    for path, value in changes.items():
        *sections, name = path.split("__")
        section = result
        for each in sections:
            section = section[each]
        section[name] = value
    return result


def text(content: object) -> str:
    """Data as YAML 1.2."""
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(content, stream)
    return stream.getvalue()


def written(folder: Path, content: object) -> Path:
    """A policy file."""
    file = folder / "policy.yaml"
    file.write_text(text(content), encoding="utf-8")
    return file


def with_provenance(written_out: str) -> str:
    """The plain policy's text with a provenance as it is written here."""
    return text({name: value for name, value in data().items() if name != "provenance"}) + f"provenance:{written_out}\n"


def test_a_file_is_read_into_the_policy_it_holds(tmp_path: Path) -> None:
    assert load_policy(written(tmp_path, data())) == plain_policy()
    assert load_policy(str(written(tmp_path, data(name="mine", number=7)))).version.startswith("7-")


def test_references_that_stand_for_more_than_a_memory_holds_are_refused() -> None:
    lines = ["a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    lines += [f"a{k}: &a{k} [{', '.join(10 * [f'*a{k - 1}'])}]" for k in range(1, 20)]
    with pytest.raises(PolicyError, match="more than 100,000 values"):
        parse_policy(with_provenance("".join(f"\n  {line}" for line in lines)), "bomb")


def test_merges_of_merges_are_counted_before_they_are_made() -> None:
    lines = [f"a0: &a0 {{{', '.join(f'k{number}: 0' for number in range(10))}}}"]
    lines += [f"a{k}: &a{k} {{<<: [{', '.join(10 * [f'*a{k - 1}'])}]}}" for k in range(1, 12)]
    with pytest.raises(PolicyError, match=r"100,000 values, with all that it merges"):
        parse_policy(with_provenance("".join(f"\n  {line}" for line in lines)), "bomb")


def test_what_is_merged_is_what_is_meant_and_what_is_wrong_in_it_has_its_line() -> None:
    lines = ["name: x", "defaults: &d", "  wrong: 1", "  also: 2", "classes:", "  car:", "    <<: *d", "    also: 3"]
    with pytest.raises(PolicyError) as caught:
        parse_policy("\n".join(lines), "x")
    found = {problem.field: problem.line for problem in caught.value.problems}
    assert (found["defaults.wrong"], found["classes.car.wrong"], found["classes.car.also"]) == (3, 3, 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("#" * 2**20 + "\na: 1", "1,048,576 characters"),
        ("a: [" + "1," * 100_000 + "1]", "100,000 keys and values"),
    ],
)
def test_texts_that_would_take_long_to_read_are_refused(
    content: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "keys" in message:  # the real number takes seconds
        monkeypatch.setattr("tertium_server.policy.file._MOST_NODES", 500)
        message = "500 keys and values"
    with pytest.raises(PolicyError, match=f"x: is no policy: it has more than {message}"):
        parse_policy(content, "x")


def test_what_a_caller_may_put_can_be_read_again_though_it_is_longer_when_it_is_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertium_server.policy.file._MOST_NODES", 1000)  # with the real number it takes half a minute
    anchors = "\n  a: &a [" + ", ".join(100 * ["1.5"]) + "]\n  b: [" + ", ".join(8 * ["*a"]) + "]"
    taken = parse_policy(with_provenance(anchors), "a caller's")
    file = tmp_path / "policy.yaml"
    file.write_text(dump_policy(taken), encoding="utf-8")
    with pytest.raises(PolicyError, match="more than 1,000"):
        parse_policy(file.read_text(encoding="utf-8"), "a caller's")
    assert load_policy(file).version == taken.version


def test_a_text_is_read_once_however_many_problems_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    content = text(data()) + "".join(f"wrong{number}: 1\n" for number in range(70))
    scanned: list[str] = []
    scan = Reader.check_printable

    def counted(self: Reader, data: str) -> None:
        scanned.append(data)
        scan(self, data)

    monkeypatch.setattr(Reader, "check_printable", counted)
    with pytest.raises(PolicyError, match="20 more problems"):
        parse_policy(content, "x")
    assert scanned == [content]


def test_references_are_what_they_name() -> None:
    read = parse_policy(with_provenance(" {one: &one [1, 2], again: *one}"), "x")
    assert read.provenance == {"one": [1, 2], "again": [1, 2]}


def test_of_very_many_problems_the_first_are_told_and_how_many_more_there_are() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text(data()) + "".join(f"wrong{number}: 1\n" for number in range(70)), "x")
    assert [problem.field for problem in caught.value.problems] == [
        *(f"wrong{number}" for number in range(50)),
        "policy",
    ]
    assert "20 more problems" in str(caught.value)


def test_the_built_in_policy_loads_and_is_always_the_same() -> None:
    assert default_policy() is default_policy()
    assert default_policy().name == "built-in"
    assert parse_policy(text(default_policy().model_dump(mode="json")), "here").version == default_policy().version


def test_yes_and_no_are_words_quoted_or_not() -> None:
    plain = text(data())
    assert "yes: 0." in plain
    assert parse_policy(plain, "here").defaults.box.thresholds.yes == plain_policy().defaults.box.thresholds.yes
    for quote in "'\"":
        assert (
            parse_policy(plain.replace("yes:", f"{quote}yes{quote}:").replace("no:", f"{quote}no{quote}:"), "here")
            == plain_policy()
        )


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "y", "n"])
def test_classes_may_be_called_what_older_yaml_took_for_truth(word: str) -> None:
    content = text(data()).replace("classes: {}", f"classes:\n  {word}:\n    track: {{thresholds: {{yes: 0.9}}}}\n")
    policy = parse_policy(content, "here")
    assert policy.class_names() == (word,)
    assert policy.judgement(word).track.thresholds.yes == 0.9


def test_json_is_yaml_too() -> None:
    assert parse_policy(json.dumps(data()), "here") == plain_policy()


def broken(**changes: object) -> str:
    return text(data(**changes))


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("defaults.track.thresholds", broken(defaults__track__thresholds__no=0.9)),
        ("defaults.box.thresholds", broken(defaults__box__thresholds__no=0.61)),
        ("classes.car.box.thresholds", broken(classes={"car": {"box": {"thresholds": {"no": 0.99}}}})),
        ("defaults.box.thresholds.yes", broken(defaults__box__thresholds__yes=1.01)),
        ("defaults.box.thresholds.no", broken(defaults__box__thresholds__no=-0.01)),
        ("defaults.track.thresholds.hold", broken(defaults__track__thresholds__hold=-1)),
        ("defaults.evidence.noise", broken(defaults__evidence__noise=0)),
        ("defaults.evidence.miss.value", broken(defaults__evidence__miss__value=-51)),
        ("defaults.evidence.birth.variance", broken(defaults__evidence__birth__variance=0.0)),
        ("defaults.scores.gain", broken(defaults__scores__gain=-1)),
        ("defaults.box.weights.score", broken(defaults__box__weights__score=-0.1)),
        ("defaults.track.weights.slow", broken(defaults__track__weights__slow=-0.1)),
        ("tracker.association.buffer", broken(tracker__association__buffer=2.5)),
        ("tracker.association.class_aware", broken(tracker__association__class_aware="perhaps")),
        ("tracker.lifetime.coast", broken(tracker__lifetime__coast=0)),
        ("tracker.lifetime.max_gap", broken(tracker__lifetime__max_gap="soon")),
        ("tracker.motion.measurement_noise", broken(tracker__motion__measurement_noise=None)),
        ("number", broken(number=-1)),
        ("number", broken(number=1.5)),
        ("number", broken(number=2**63)),
        ("number", broken(number=True)),
        ("defaults.evidence.noise", broken(defaults__evidence__noise=True)),
        ("defaults.evidence.noise", broken(defaults__evidence__noise="1.0")),
        ("tracker.association.class_aware", broken(tracker__association__class_aware="yes")),
        ("provenance.again.dict.again", text(data()).replace("provenance: {}", "provenance: &here {again: *here}")),
        ("provenance.picture", text(data()).replace("provenance: {}", 'provenance: {picture: !!binary "/w=="}')),
        ("provenance.figure.float", text(data()).replace("provenance: {}", "provenance: {figure: .nan}")),
        ("name", broken(name="")),
        ("name", broken(name="x" * 65)),
        ("format", broken(format="tertium.policy/v2")),
        ("defaults.evidence.noise", text(data()).replace("noise: 1.0", "noise: .nan", 1)),
        ("defaults.evidence.fast_drift", text(data()).replace("fast_drift: 6.0", "fast_drift: .inf", 1)),
        ("defaults.evidence.slow_drfit", broken(defaults__evidence__slow_drfit=0.1)),
        ("treshold", broken(treshold=0.5)),
        ("classes.car.trak", broken(classes={"car": {"trak": {}}})),
        ("classes.car", broken(classes={"car": 0.5})),
        ("classes.car", broken(classes={"car": None})),
        ("classes", broken(classes=["car"])),
        ("defaults", broken(defaults=None)),
        ("tracker", broken(tracker=[])),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_the_file(tmp_path: Path, field: str, content: str) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_policy(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert f"{field}: " in str(caught.value)


def sections(content: dict[str, Any], *before: str) -> list[tuple[str, ...]]:
    """Paths of everything in a policy, sections and values."""
    found: list[tuple[str, ...]] = []
    for name, value in content.items():
        found.append((*before, name))
        if isinstance(value, dict):
            found += sections(value, *before, name)
    return found


OPTIONAL = {
    ("known_classes",), ("groups",), ("streams",), ("zones",), ("profiles",),
    ("about",), ("about", "author"), ("about", "reason"), ("about", "created"),
    ("reference",), ("reference", "scores"),
    ("number",), ("provenance",), ("classes",), ("defaults", "evidence", "noise"),
    ("tracker", "association", "class_aware"), ("tracker", "decision_lag"),
    *(("defaults", "box", "weights", name) for name in (
        "score_high", "slow_large", "cover", "neighbours", "size", "size_squared",
    )),
    ("defaults", "box", "heights"), ("defaults", "box", "heights", "least"), ("defaults", "box", "heights", "most"),
    *(("defaults", "track", "weights", name) for name in ("size", "size_squared")),
    ("defaults", "scores", "offset"), ("defaults", "scores", "gain"), ("defaults", "scores", "clip"),
}  # fmt: skip


@pytest.mark.parametrize("path", sections(plain_data()), ids=".".join)
def test_what_is_missing_is_named_unless_it_has_a_default(path: tuple[str, ...]) -> None:
    content = data()
    section = content
    for name in path[:-1]:
        section = section[name]
    del section[path[-1]]
    content_text = json.dumps(content)  # which is YAML too, and written in no time
    if path in OPTIONAL:
        assert isinstance(parse_policy(content_text, "here"), Policy)
        return
    with pytest.raises(PolicyError, match=rf"here: line 1: {'.'.join(path)}: "):
        parse_policy(content_text, "here")


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(broken(name="", number=-1, defaults__evidence__noise=0), "here")
    for field in ("name", "number", "defaults.evidence.noise"):
        assert f"{field}: " in str(caught.value)


def test_thresholds_that_cross_are_told_with_their_values_and_the_remedy() -> None:
    with pytest.raises(PolicyError, match=r"no \(0\.9\) lies over yes \(0\.7\): lower no or raise yes"):
        parse_policy(broken(defaults__track__thresholds__no=0.9), "here")


@pytest.mark.parametrize(
    "content",
    ["", "   \n", "# nothing but a comment\n", "null", "- a\n- list\n", "just words", "42", "{}"],
)
def test_what_holds_no_policy_is_refused(content: str) -> None:
    with pytest.raises(PolicyError, match=r"^here: "):
        parse_policy(content, "here")


@pytest.mark.parametrize(
    "content",
    [
        "a: [1, 2",
        "a: b: c",
        "\tname: tab",
        "name: *nobody",
        "a: 1\n  b: 2\n",
        "%YAML 9.9\n---\n{}\n---\n",
        "name: one\nname: two\n",
        "name: \x00",
        "a: " + "[" * 600,
        "[" * 600 + "]" * 600,
        "number: " + "9" * 5000,
        "!!python/object/apply:os.getcwd []",
        "first: 1\n---\nsecond: 2\n",
    ],
)
def test_what_is_no_yaml_or_more_than_data_is_refused(content: str) -> None:
    with pytest.raises(PolicyError, match=r"^here: ") as raised:
        parse_policy(content, "here")
    assert len(str(raised.value).splitlines()) == 1


def test_what_is_no_yaml_is_told_with_its_place() -> None:
    with pytest.raises(
        PolicyError, match=r"^here: line 3, column 1: is no YAML: while parsing a flow sequence, expected"
    ):
        parse_policy("name: a\nb: [1, 2\n", "here")


def test_a_file_that_cant_be_read_is_named(tmp_path: Path) -> None:
    for place, why in ((tmp_path / "missing.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(PolicyError, match=f"^{place}: can't be read: {why}$"):
            load_policy(place)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(PolicyError, match=f"^{file}: can't be read"):
        load_policy(file)


class TestVersions:
    def test_however_a_file_is_written_its_version_is_the_same(self) -> None:
        content = data(classes={"car": {"track": {"thresholds": {"yes": 0.8}}}, "bus": {}})
        turned = reversed_keys(content)
        block = text(content)
        flow = json.dumps(turned)
        commented = "# mine\n" + block.replace("\n", "   # so\n", 3)
        versions = {parse_policy(each, "here").version for each in (block, flow, text(turned), commented)}
        assert len(versions) == 1

    def test_a_class_that_repeats_the_defaults_is_judged_as_one_that_leaves_them_out(self) -> None:
        short = parse_policy(text(data(classes={"car": {}})), "here")
        long = parse_policy(text(data(classes={"car": data()["defaults"]})), "here")
        assert short == long
        assert short.sha256 == long.sha256

    def test_whole_numbers_and_fractions_are_the_same_numbers(self) -> None:
        assert parse_policy(text(data(defaults__evidence__noise=1)), "here").version == plain_policy().version

    @pytest.mark.parametrize("path", sections(plain_data()), ids=".".join)
    def test_any_other_value_is_another_version(self, path: tuple[str, ...]) -> None:
        content = data()
        section = content
        for name in path[:-1]:
            section = section[name]
        value = section[path[-1]]
        match value:
            case bool():
                section[path[-1]] = not value
            case int() | float():
                if path == ("number",):
                    return  # whoever counts versions counts contents
                section[path[-1]] = value + 1 if path[-1] == "decision_lag" else value * 0.999 + 1e-6
            case str() if path != ("format",) and path[0] != "about":
                section[path[-1]] = f"{value}!"
            case dict() if path == ("provenance",):
                section[path[-1]] = {"data": "mine"}
            case dict() if path == ("classes",):
                section[path[-1]] = {"car": {}}
            case _:
                return
        assert Policy.model_validate(content).sha256 != plain_policy().sha256

    def test_a_field_that_is_added_with_a_default_leaves_the_version_of_older_policies(self) -> None:
        class Newer(Policy):
            added: float = 0.5

        content = data(classes={"car": {"track": {"thresholds": {"yes": 0.8}}}})
        assert Newer.model_validate(content).sha256 == Policy.model_validate(content).sha256
        assert Newer.model_validate(content | {"added": 0.6}).sha256 != Policy.model_validate(content).sha256

    def test_a_version_is_the_number_and_twelve_digits_of_the_hash(self) -> None:
        policy = parse_policy(text(data(number=3)), "here")
        assert policy.version == f"3-{policy.sha256[:12]}"
        assert len(policy.sha256) == 64

    def test_a_date_is_what_is_written_there_quoted_or_not(self) -> None:
        plain, quoted = (
            parse_policy(text(data()).replace("provenance: {}", f"provenance: {{date: {date}}}"), "here")
            for date in ("2026-01-01", "'2026-01-01'")
        )
        assert plain.provenance == {"date": "2026-01-01"}
        assert plain.version == quoted.version

    def test_where_it_came_from_is_kept_as_it_was_written(self) -> None:
        origin = {"data": ["a", "b"], "date": "2026-01-01", "figures": {"f1": 0.9}}
        assert parse_policy(text(data(provenance=origin)), "here").provenance == origin


class TestWriting:
    rich = policy_with(
        {
            "provenance": {"date": "2026-01-01", "by": "yes", "figures": [0.1, 1e-7, None, True], "word": "no: way # really"},
            "classes": {"car": {"track": {"thresholds": {"yes": 0.9}}}, "no": {"scores": {"gain": 1 / 3}}, "dog": {}},
            "defaults.evidence.noise": 0.1 + 0.2,
            "name": "site: 7",
        }
    )  # fmt: skip

    @pytest.mark.parametrize("policy", [rich, plain_policy(), default_policy()], ids=["rich", "plain", "built-in"])
    def test_what_is_written_is_read_back_to_the_last_digit(self, policy: Policy) -> None:
        again = parse_policy(dump_policy(policy, "a comment\nof two lines"), "here")
        assert again == policy
        assert again.version == policy.version
        assert again.class_names() == policy.class_names()

    def test_a_class_says_only_what_it_has_of_its_own(self) -> None:
        written_classes = YAML(typ="safe", pure=True).load(dump_policy(self.rich))["classes"]
        assert written_classes["car"] == {"track": {"thresholds": {"yes": 0.9}}}
        assert written_classes["dog"] == {}

    def test_a_comment_stands_at_the_head_and_is_no_data(self) -> None:
        lines = dump_policy(plain_policy(), "made by hand\n\nname: another").splitlines()
        assert lines[:3] == ["# made by hand", "#", "# name: another"]
        assert parse_policy("\n".join(lines), "here") == plain_policy()


def reversed_keys(content: Any) -> Any:
    """The same data, every section written from its end."""
    if isinstance(content, dict):
        return {name: reversed_keys(content[name]) for name in reversed(content)}
    return content
