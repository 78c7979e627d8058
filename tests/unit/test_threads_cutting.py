"""A script becomes posts that each platform takes: whole sentences, numbered, in order, nothing lost unsaid."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.errors import ChimeraError
from chimera.usecases.threads import (
    MOST_POSTS,
    bluesky_length,
    cut_thread,
    fits,
    limit_of,
    mastodon_length,
    threads_length,
    too_long,
    x_length,
)

FAMILY = "\U0001f468‍\U0001f469‍\U0001f467"  # one emoji of five code points
SCRIPT = [
    "The bridge closed in March. Dr. Weber measured 3.5 metres of rust. It was older than it looked.",
    "The city had known since 2019! Who signed the report? Nobody remembers.",
    "It opens again in May. Until then the ferry is free.",
]


@pytest.mark.parametrize(
    ("text", "x", "bluesky", "threads", "mastodon"),
    [
        ("hello", 5, 5, 5, 5),
        ("日本語", 6, 3, 3, 3),
        (FAMILY, 2, 2, 18, 1),
        ("see https://example.org/a/very/long/path/to/a/page now", 31, 54, 54, 31),
        ("“quoted” – so", 13, 13, 13, 13),
        ("e\u0301", 1, 1, 2, 1),
    ],
)
def test_each_platform_counts_its_own_way(text: str, x: int, bluesky: int, threads: int, mastodon: int) -> None:
    assert x_length(text) == x
    assert bluesky_length(text) == max(bluesky, -(-len(text.encode()) // 10))
    assert threads_length(text) == threads
    assert mastodon_length(text) == mastodon


def test_a_thread_says_all_of_the_script_in_whole_sentences() -> None:
    thread = cut_thread(SCRIPT, closing="Source:\nhttps://example.org/n", platform="x")
    assert thread.left_out == ()
    texts = [post.text for post in thread.posts]
    said = " ".join(re.sub(r" \d+/\d+$", "", text) for text in texts[:-1])
    assert said == " ".join(SCRIPT)
    assert all(re.search(r"[.!?] \d+/\d+$", text) for text in texts[:-1])
    assert [text.rsplit(" ", 1)[1] for text in texts] == [f"{n}/{len(texts)}" for n in range(1, len(texts) + 1)]
    assert "https://example.org/n" in texts[-1] and too_long(texts, "x") == []


def test_scenes_are_named_by_the_post_in_which_they_begin() -> None:
    thread = cut_thread([f"{'word ' * 40}end number {n}." for n in range(3)], closing="Made with AI", platform="x")
    assert [post.scenes for post in thread.posts] == [(0,), (1,), (2,), ()]


def test_the_title_leads_unless_the_script_says_it() -> None:
    assert cut_thread(SCRIPT, title="Rust", closing="AI").posts[0].text.startswith("Rust\n\nThe bridge closed")
    repeated = cut_thread(SCRIPT, title="The bridge closed in March", closing="AI").posts[0].text
    assert repeated.count("The bridge closed in March") == 1


def test_a_sentence_longer_than_a_post_goes_on_in_the_next() -> None:
    long = " ".join(f"word{n}" for n in range(120)) + "."
    thread = cut_thread([long], closing="AI", platform="bluesky")
    texts = [post.text for post in thread.posts]
    assert len(texts) > 3 and too_long(texts, "bluesky") == []
    assert texts[0].split()[-2].endswith("…") and texts[1].startswith("… ")
    assert [w for t in texts[:-1] for w in re.findall(r"word\d+", t)] == [f"word{n}" for n in range(120)]


def test_what_is_too_much_for_25_posts_is_said_to_be_left_out() -> None:
    scenes = [f"This is sentence {n} of a very long script, {'x' * 200}." for n in range(40)]
    thread = cut_thread(scenes, closing="AI", platform="x")
    assert len(thread.posts) == MOST_POSTS and len(thread.left_out) == 40 - (MOST_POSTS - 1)
    assert thread.posts[-1].text == "AI 25/25" and thread.left_out[0].startswith("This is sentence 24 ")


def test_too_many_sources_lose_lines_but_not_the_label() -> None:
    closing = "\n".join(["Sources:", *(f"https://example.org/{n}/{'p' * 60}" for n in range(12)), "Made with AI"])
    last = cut_thread(SCRIPT, closing=closing, platform="bluesky").posts[-1].text
    assert fits(last, "bluesky") and "Made with AI" in last and "https://example.org/0/" in last


def test_no_words_are_an_error() -> None:
    with pytest.raises(ChimeraError) as caught:
        cut_thread(["  ", ""], closing="AI")
    assert caught.value.code == "VALIDATION_FAILED" and "0 sentences" in caught.value.message


def test_without_a_platform_the_strictest_holds() -> None:
    assert limit_of("") == 280 and limit_of("mastodon") == 500
    text = "字" * 141  # 282 on X, 141 elsewhere
    assert not fits(text) and fits(text, "bluesky") and fits(text, "somewhere") is False


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(alphabet=st.sampled_from("ab .!?字\U0001f600é\n…‍"), max_size=400), min_size=1, max_size=6),
    st.sampled_from(["", "x", "bluesky", "threads", "mastodon"]),
)
def test_no_post_is_ever_over_its_limit(scenes: list[str], platform: str) -> None:
    try:
        thread = cut_thread(scenes, title="T", closing="Made with AI", platform=platform)
    except ChimeraError as error:
        assert error.code == "VALIDATION_FAILED"
        return
    texts = [post.text for post in thread.posts]
    assert 2 <= len(texts) <= MOST_POSTS and too_long(texts, platform) == []
