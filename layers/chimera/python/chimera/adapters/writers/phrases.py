"""What the offline writer says around the facts. No phrase here states anything about the world.

`{title}` is the headline, `{topic}` a short name of the subject, `{sites}` the sources' names.
A phrase is chosen by the seed, never twice in one script, never one that holds a word the persona avoids.
"""

from __future__ import annotations

from typing import Literal

Mood = Literal["calm", "lively", "plain"]

HOOK_HEADLINE: dict[Mood, list[str]] = {
    "plain": [
        "Here is a headline worth a closer look. {title}",
        "One headline, and what we know about it. {title}",
        "This is the story in one line. {title}",
        "Let's look at a story that is getting attention. {title}",
    ],
    "calm": [
        "Let's take a calm look at this one. {title}",
        "A story worth a quiet minute. {title}",
        "Here is the headline, and then the details. {title}",
    ],
    "lively": [
        "Stop for a second, this one is worth it. {title}",
        "Okay, this headline made us look twice. {title}",
        "You will want to know about this one. {title}",
    ],
}
# Said of any name, also one that is no noun phrase.
HOOK_TOPIC: dict[Mood, list[str]] = {
    "plain": [
        "Today's topic: {topic}. Here is what we found.",
        "{topic}: that is the topic, so let's see what the sources say.",
        "One topic, a few facts, no guessing. Today: {topic}.",
    ],
    "calm": [
        "{topic}. Let's take it step by step.",
        "A quiet minute for one topic: {topic}.",
    ],
    "lively": [
        "{topic}! Let's get right into it.",
        "Quick one today: {topic}. Here we go!",
    ],
}
# Only where searches or page views were counted.
HOOK_LOOKED_UP: list[str] = [
    "{topic}. A lot of people are looking that up, so here is what the sources say.",
    "People keep looking this up: {topic}. Let's see what is known.",
]
HOOK_SAMPLE_TOPIC: list[str] = [
    "Here is something worth knowing: {topic}.",
    "Take a minute for this one: {topic}.",
]
HOOK_SAMPLE: list[str] = [
    "Here is something worth knowing. {title}",
    "Take a minute for this one. {title}",
    "One thing, told in a minute. {title}",
    "Let's look at this step by step. {title}",
]
HOOK_FOREIGN: list[str] = [
    "This headline is not in English, so we show it just as it stands. {title}",
    "Here is a headline in another language, word for word. {title}",
]

HOOK_OWN_WORDS: list[str] = [
    "In the words of the author: “{title}”",
    "Here is how the author puts it: “{title}”",
]

FIRST: list[str] = [
    "Start with the basics.",
    "First, the core of it.",
    "So what do we know?",
    "Here is what the source says.",
    "Here is the short version.",
]
NEXT: list[str] = [
    "There is more.",
    "Another detail.",
    "Then there is this.",
    "Also worth knowing.",
    "And here is the next piece.",
    "It goes on.",
    "Now look at this part.",
    "Here is one more point.",
    "Keep this in mind, too.",
    "Then the next step.",
]
FIGURE: list[str] = [
    "Now a number to remember.",
    "Here is the figure that stands out.",
    "And now the number.",
]
LAST: list[str] = ["And one last thing.", "One more piece before we close.", "And finally, this."]
HEADLINES: list[str] = [
    "One headline reads like this.",
    "Another headline says it this way.",
    "And a third one.",
    "Then this line.",
    "One more headline.",
]
# When there is little to say: what is known about the report itself, and what is not. Each is (narration,
# card).
UNREAD_HEADLINE: list[tuple[str, str]] = [
    (
        "That line is all we have read so far. The details are behind the link, and we will not guess at them.",
        "Only the headline so far",
    ),
    (
        "So what is not known yet? How it began, and what comes next. A single line does not tell us that.",
        "What is not known yet",
    ),
]
UNREAD_TOPIC: list[tuple[str, str]] = [
    (
        "The name is all we have here. The details are behind the link, and we will not guess at them.",
        "Only the name so far",
    ),
    (
        "So what is not known yet? Why people look right now, and what comes next. A name does not tell us that.",
        "What is not known yet",
    ),
]
READ_LITTLE: list[tuple[str, str]] = [
    (
        "That is what the sources give us so far. What comes next is not known yet, and we will not guess.",
        "What is not known yet",
    ),
]
THIN: list[tuple[str, str]] = [
    (
        "Short lines leave things out. Take this one as a lead, not as the whole story.",
        "A lead, not the whole story",
    ),
    (
        "Counts like these show attention. They do not show whether something is true.",
        "Attention is not proof",
    ),
    (
        "If it matters to you, open the original and read it before you share it.",
        "Read before you share",
    ),
    (
        "We would rather say less than make something up, so we stop where the source stops.",
        "No guessing here",
    ),
    (
        "More may come out soon. When it does, check it against the original.",
        "More may follow",
    ),
    (
        "Take a minute before you pass it on. A short pause is often worth more than a quick share.",
        "Take a minute first",
    ),
    (
        "What matters here may only be clear in a few days. Until then, keep an open mind.",
        "Keep an open mind",
    ),
    (
        "There may be more to it than one short text can tell. It is good to keep that in mind.",
        "There may be more to it",
    ),
]
WHY_OPEN: list[str] = ["Why look at it now?", "So how big is it?", "And how much attention does it get?"]
SPEED_OPEN: list[str] = ["How fast is it rising?", "And how fast does it climb?"]
SAMPLE_NOTE: list[str] = [
    "This topic is from the studio's bundled sample, not from today's trends.",
    "To be clear, this topic is sample material that comes with the studio.",
]
CLOSE: dict[Mood, list[str]] = {
    "plain": [
        "That is what we know, and no more.",
        "Now you know what we know.",
        "Read it there, and make up your own mind.",
    ],
    "calm": [
        "Take your time with it.",
        "That is all we can say for sure.",
        "Read it there, at your own pace.",
    ],
    "lively": [
        "Go check it out, and see what you think!",
        "That's it, quick and honest!",
        "Now it's your turn to look!",
    ],
}
SOURCES: list[str] = [
    "The sources: {sites}.",
    "Our sources for this: {sites}.",
    "Where it comes from: {sites}.",
]
SOURCES_UNREAD: list[str] = [
    "The link leads to {sites}.",
    "The original: {sites}.",
    "Where to read it: {sites}.",
]
NO_SOURCE: list[str] = ["No address came with it, so treat it with care."]
FOLLOW: list[str] = [
    "Thanks for watching.",
    "See you at the next one.",
    "Until the next story.",
]
TITLES_TOPIC: list[str] = [
    "{topic}: what the sources say",
    "{topic}: the short version",
    "{topic}, in short",
    "{topic}: what we know",
]
PICTURES: list[str] = [
    "Editorial illustration of {things}, clear shapes, soft light, no lettering",
    "Close view of {things}, calm background, shallow depth of field, no lettering",
    "Wide scene with {things}, muted colours, one bright accent, no lettering",
    "Paper-cut style picture of {things}, layered depth, no lettering",
    "Minimal still life with {things}, plain backdrop, no lettering",
]
NOTES: list[str] = [
    "Made with AI from the sources named here; no fact was added.",
    "Made with AI; nothing was added to what the links say.",
    "Made with AI.",
]
