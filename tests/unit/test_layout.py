from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import NewerFormat, NoStore, OlderFormat, StoreError
from tagfs.layout import FORMAT, Layout, StoreInfo, default_root, read_info, read_toml, write_info

INFO = StoreInfo(
    FORMAT, "9c0f7be1-0000-4000-8000-000000000001", "1a2b3c4d-0000-4000-8000-000000000002", "laptop", "laptop", "m"
)


def layout_with(folder: Path, text: str) -> Layout:
    layout = Layout(str(folder))
    Path(layout.toml).write_text(text, encoding="utf-8")
    return layout


def as_toml(**values: object) -> str:
    fields = {**INFO._asdict(), **values}
    return "".join(
        f"{key} = {value if isinstance(value, int) else chr(34) + str(value) + chr(34)}\n"
        for key, value in fields.items()
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    write_info(layout, INFO)
    assert read_info(layout) == INFO
    assert os.listdir(tmp_path) == ["store.toml"]
    assert os.stat(layout.toml).st_mode & 0o777 == 0o600


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_an_alias_of_any_text_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, alias: str) -> None:
    layout = Layout(str(tmp_path_factory.getbasetemp()))
    write_info(layout, INFO._replace(alias=alias))
    assert read_info(layout).alias == alias


def test_it_is_toml_to_other_programs(tmp_path: Path) -> None:
    import tomllib

    layout = Layout(str(tmp_path))
    info = INFO._replace(alias='Ada\'s "laptop" \\ \u2028\x7f\n')
    write_info(layout, info)
    assert tomllib.loads(Path(layout.toml).read_text(encoding="utf-8")) == info._asdict()


@pytest.mark.parametrize(
    "text",
    [
        as_toml(),
        "\n# by hand\n\n" + as_toml().replace(" = ", "="),
        as_toml().replace('"laptop"', "'laptop'"),
        as_toml().replace('"laptop"', '"lap\\u0074op"  # mine'),
        as_toml().replace("\n", "\r\n"),
        as_toml() + "[extra]\nkey = [1, 2]\n",
        as_toml() + 'colour = "red"\n',
    ],
)
def test_a_file_edited_by_hand_is_read(tmp_path: Path, text: str) -> None:
    assert read_info(layout_with(tmp_path, text)) == INFO


def test_what_a_person_has_put_there_stays_when_it_is_written_again(tmp_path: Path) -> None:
    layout = layout_with(tmp_path, "# mine\n" + as_toml() + "trash_days = 3650\n\n[extra]\nalias = [1,\n 2]\n")
    for alias in ("desk", "desk", "a \u2028 b"):
        write_info(layout, INFO._replace(alias=alias))
        values = read_toml(layout)
        assert values["trash_days"] == 3650
        assert values["extra"] == {"alias": [1, 2]}
        assert read_info(layout).alias == alias
    assert Path(layout.toml).read_text(encoding="utf-8").count("# mine\n") == 1


def test_lines_that_make_no_toml_together_with_ours_stay_as_comments(tmp_path: Path) -> None:
    layout = layout_with(tmp_path, as_toml().replace("alias =", '"alias" =') + "trash_days = 3650\n")
    write_info(layout, INFO._replace(alias="desk"))
    assert read_info(layout).alias == "desk"
    assert "# trash_days = 3650\n" in Path(layout.toml).read_text(encoding="utf-8")


def test_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    layout = layout_with(tmp_path, f"format = {FORMAT + 1}\nwhatever = true\n")
    before = Path(layout.toml).read_bytes()
    with pytest.raises(NewerFormat, match="update lyts"):
        read_info(layout)
    assert Path(layout.toml).read_bytes() == before
    assert read_toml(layout)["format"] == FORMAT + 1


def test_an_older_format_asks_for_migration(tmp_path: Path) -> None:
    with pytest.raises(OlderFormat, match="lyts migrate"):
        read_info(layout_with(tmp_path, as_toml(format=FORMAT - 1)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "format",
        "format = x",
        "format = ²",
        "format = inf",
        "format = nan",
        "format = []",
        f"format = {'9' * 5000}",
        as_toml()[:40],
        "format = 1\nlibrary = ",
        "format = " + "[" * 100_000,
        "\0\0\0\0",
    ],
)
def test_a_damaged_file_is_an_error_of_the_store(tmp_path: Path, text: str) -> None:
    with pytest.raises(StoreError, match=r"store\.toml"):
        read_info(layout_with(tmp_path, text))


def test_bytes_that_are_no_text_are_an_error_of_the_store(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    Path(layout.toml).write_bytes(b'format = 1\nalias = "\xff"\n')
    with pytest.raises(StoreError, match="cannot be read"):
        read_info(layout)


def test_without_the_file_there_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(NoStore, match="lyts init"):
        read_info(Layout(str(tmp_path)))
    (tmp_path / "file").write_text("")
    with pytest.raises(NoStore):
        read_info(Layout(str(tmp_path / "file")))


def test_a_directory_in_its_place_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "store.toml").mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        read_info(Layout(str(tmp_path)))


def test_the_store_is_where_the_person_says_or_below_the_data_folder() -> None:
    assert default_root({"LYTS_STORE": "/a/b", "XDG_DATA_HOME": "/x"}) == "/a/b"
    assert default_root({"XDG_DATA_HOME": "/x", "HOME": "/home/ada"}) == "/x/lyts"
    assert default_root({"HOME": "/home/ada"}) == "/home/ada/.local/share/lyts"


def test_everything_of_a_store_is_below_its_root() -> None:
    layout = Layout("/s")
    paths = [value for value in vars(layout).values() if value != layout.root]
    assert len(set(paths)) == len(paths)
    assert all(path.startswith("/s/") for path in paths)
    assert layout.data("laptop", "9c/x") == "/s/sets/laptop/data/9c/x"
