"""Words, questions and snippets take any text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tagfs.text.documents import Kept, is_answered
from tagfs.text.question import read_question, words_of
from tagfs.text.snippet import LONGEST_CHARS, snippet
from tagfs.text.words import LONGEST, Asked, asked, counted, fold, follow_each_other, spans

TEXT = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="ab_ \"-*:or\n.東京都한국สวัÉéßø0'+#\ud800", max_size=60),
)


@given(TEXT)
def test_every_span_is_in_the_text_and_its_word_is_folded(text: str) -> None:
    end = 0
    for span in spans(text):
        assert end <= span.start < span.end <= len(text)
        assert span.word
        assert fold(span.word) == span.word
        end = span.end


@given(TEXT)
def test_a_text_is_found_by_each_of_its_words(text: str) -> None:
    words = counted(text)
    for span in spans(text):
        piece = asked(text[span.start : span.end])
        assert piece is not None
        if piece.begins:
            assert any(word.startswith(piece.words[-1]) for word in words)
        else:
            assert set(piece.words) <= set(words)
    assert all(0 < len(word) <= LONGEST + 2 for word in words)


@given(TEXT)
def test_a_question_can_be_made_of_any_text(text: str) -> None:
    question = read_question(text)
    if question is not None:
        assert question.all
        assert words_of(question)


# Without # and +, which are letters behind a-z only, and signs that folding makes such letters of (`º`).
@given(TEXT.map(lambda text: text.translate({ord("#"): " ", ord("+"): " "})))
def test_a_text_answers_the_question_for_itself_in_quotes(text: str) -> None:
    question = read_question('"' + text.replace('"', " ") + '"')
    if question is not None:
        assert is_answered(Kept("", (), "", text.replace('"', " "), False), question)


@given(TEXT, TEXT, st.integers(0, 40))
def test_a_snippet_is_one_short_line_and_its_marks_are_words_in_it(before: str, text: str, times: int) -> None:
    question = read_question(text)
    if question is None:
        return
    shown = snippet(Kept("", (), "", (before + " ") * times + text + " " + before, False), question)
    assert len(shown.text) <= LONGEST_CHARS + 200
    assert not any(ch in shown.text for ch in "\n\r\t")
    end = 0
    for start, stop in shown.marks:
        assert end <= start < stop <= len(shown.text)
        assert list(spans(shown.text[start:stop]))
        end = stop


def test_case_accents_and_ways_of_writing_letters_do_not_matter() -> None:
    assert fold("MÜSSIG") == fold("müßig") == fold("mu\u0308ssig")
    assert fold("Øre Łódź Æsop ﬁne Ｗｉｄｅ") == "ore lodz aesop fine wide"
    assert fold("한국") == "한국"


def test_words_of_code_are_found_by_their_parts() -> None:
    assert {"getfilename", "get", "file", "name"} <= set(counted("getFileName()"))
    assert {"http", "server", "2"} <= set(counted("HTTPServer2"))
    assert {"my_var", "my", "var"} <= set(counted("my_var"))
    assert {"c++", "c#"} <= set(counted("C++ and C#."))


def follow_by_spans(text: str, piece: Asked) -> bool:
    """`follow_each_other`, word by word."""
    words = [span.word for span in spans(text)]
    whole, last = list(piece.whole), len(piece.whole) - 1
    for at in range(len(words) - last):
        there = words[at : at + last + 1]
        if there[:last] == whole[:last] and (
            there[last] == whole[last] or (piece.begins and there[last].startswith(whole[last]))
        ):
            return True
    return False


SOME = ["a", "b", "ab", "C", "É", "ß", "東", "京", "東京", "한국", "_", "a_b", "c++", "x#", "", ".", "-", "y" * 70]
WORDS = st.lists(st.sampled_from(SOME), max_size=7)


@given(WORDS, WORDS, st.sampled_from([" ", "", ", ", "\n"]), st.booleans())
def test_words_follow_each_other_where_their_spans_do(
    words: list[str], phrase: list[str], between: str, begins: bool
) -> None:
    if begins:
        words = [word for word in words if len(word) <= LONGEST]  # how a word too long begins does not matter
    text = between.join(words)
    piece = asked(" ".join(phrase), phrase=True, begins=begins)
    if piece is not None and piece.whole:
        assert follow_each_other(text, piece) == follow_by_spans(text, piece)
