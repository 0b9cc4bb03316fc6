"""Makes the small library in tests/data/demo, on which ./demo and the walkthroughs work.

Run once and kept in git; run again only to change it:

    apt-get install flac lame vorbis-tools espeak-ng
    python -m pip install numpy pillow
    python tests/data/make_demo.py

Everything in it is made here (texts, tunes, drawings, a voice by espeak-ng) or long in
the public domain (the fables are Aesop's, told anew), so it has the project's licence.
The files are real ones: a player plays them, a reader opens them. They are small
because they live in git, and named as people name files: blanks, umlauts, apostrophes.
"""

from __future__ import annotations

import io
import math
import random
import shutil
import subprocess
import wave
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).resolve().parent
DEMO = HERE / "demo"
RATE = 16_000
# Zip members carry a time; one for all, so that the same input gives the same bytes.
ZIP_TIME = (2020, 1, 1, 0, 0, 0)

Samples = NDArray[np.float64]


# --- sounds -----------------------------------------------------------------


def frequency(note: str) -> float:
    """`A4` is 440 Hz; `Eb4`, `C#5`."""
    name, octave = note[:-1], int(note[-1])
    step = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[name[0]]
    step += {"": 0, "b": -1, "#": 1}[name[1:]]
    return float(440.0 * 2 ** ((step - 9) / 12 + octave - 4))


def pluck(note: str, seconds: float, rng: np.random.Generator) -> Samples:
    """A plucked string (Karplus and Strong, 1983): noise that runs around and loses its edge."""
    n = int(RATE * seconds)
    period = round(RATE / frequency(note))
    ring = rng.uniform(-1, 1, period)
    out = np.empty(n)
    for start in range(0, n, period):
        piece = ring[: min(period, n - start)]
        out[start : start + len(piece)] = piece
        ring = 0.996 * 0.5 * (ring + np.roll(ring, -1))
    return out


def organ(note: str, seconds: float) -> Samples:
    t = np.arange(int(RATE * seconds)) / RATE
    f = frequency(note)
    tone = sum(np.sin(2 * math.pi * f * k * t) / k**1.6 for k in (1, 2, 3, 4) if f * k < RATE / 2)
    swell = np.minimum(1, t / 0.03) * np.minimum(1, (seconds - t) / 0.08)
    return np.asarray(tone * swell)


def mix(voices: list[tuple[float, Samples]]) -> bytes:
    """Voices, each at its second, as 16-bit samples, faded out at the end."""
    n = max(int(at * RATE) + len(v) for at, v in voices)
    total = np.zeros(n)
    for at, v in voices:
        total[int(at * RATE) : int(at * RATE) + len(v)] += v
    total[-RATE // 4 :] *= np.linspace(1, 0, RATE // 4)
    total *= 0.8 / np.abs(total).max()
    return bytes((total * 32767).astype("<i2").tobytes())


def tune(melody: str, beat: float, seed: int, bass: str = "", strings: bool = True) -> bytes:
    """`melody` is notes with beats, `C4 1 E4 .5`; `bass` the same, an organ below."""
    rng = np.random.default_rng(seed)
    voices: list[tuple[float, Samples]] = []
    for line, loud, plucked in ((melody, 1.0, strings), (bass, 0.5, False)):
        at = 0.0
        words = line.split()
        for note, beats in zip(words[::2], words[1::2], strict=True):
            length = float(beats) * beat
            if note != "-":
                sound = pluck(note, length * 1.4, rng) if plucked else organ(note, length)
                voices.append((at, loud * sound))
            at += length
    return mix(voices)


def as_wav(samples: bytes) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes(samples)
    return out.getvalue()


def save_sound(path: str, samples: bytes, artist: str, year: int) -> None:
    """FLAC, MP3 or Ogg Vorbis by the ending, with title, artist and year inside."""
    target = DEMO / path
    target.parent.mkdir(parents=True, exist_ok=True)
    title, file, when = target.stem, str(target), str(year)
    comments = [f"TITLE={title}", f"ARTIST={artist}", f"DATE={year}"]
    argv = {
        ".flac": ["flac", "--silent", "--best", "--force", *(f"--tag={c}" for c in comments), "-o", file, "-"],
        ".mp3": ["lame", "--silent", "-b", "40", "--id3v2-only", "--id3v2-utf16",
                 "--tt", title, "--ta", artist, "--ty", when, "-", file],
        ".ogg": ["oggenc", "--quiet", "-q", "1", "-s", "1", "-t", title, "-a", artist, "-d", when, "-o", file, "-"],
    }[target.suffix]  # fmt: skip
    subprocess.run(argv, input=as_wav(samples), check=True)


def sounds() -> None:
    save_sound(
        "Music/Jazz/1959/Blue Kitchen.flac",
        tune(
            "C4 .66 Eb4 .34 F4 .66 F#4 .34 G4 1 Bb4 .66 G4 .34 F4 .66 Eb4 .34 C4 1.5", 0.42, 1,
            "C2 1 G2 1 A2 1 Bb2 1 C3 1 G2 1 C2 1",
        ),
        "The Two Spoons", 1959,
    )  # fmt: skip
    save_sound(
        "Music/Jazz/1959/Ferry in the Rain.mp3",
        tune("E4 1 G4 .5 B4 1.5 A4 .5 F#4 1 D4 .5 E4 2", 0.5, 2, "E2 2 B2 2 D3 1.5 E2 2"),
        "The Two Spoons", 1959,
    )  # fmt: skip
    save_sound(
        "Music/Jazz/1962/Café at Midnight.flac",
        tune("D4 .66 F4 .34 A4 1 C5 .66 A4 .34 G4 .66 E4 .34 F4 .66 E4 .34 D4 1.5", 0.42, 3, "D2 2 G2 2 A2 2 D2 1"),
        "Zoë and the Lamps", 1962,
    )  # fmt: skip
    save_sound(
        "Music/Folk/1974/Grandmother's Waltz.ogg",
        tune("G4 1 B4 1 D5 1 C5 2 A4 1 F#4 1 A4 1 C5 1 B4 3", 0.32, 4, "G2 3 D3 3 D2 3 G2 3"),
        "Village band", 1974,
    )  # fmt: skip
    save_sound(
        "Music/Folk/1988/Schöne Aussicht.mp3",
        tune("C5 1 G4 .5 E4 .5 F4 1 A4 1 G4 .5 F4 .5 E4 .5 D4 .5 C4 2", 0.45, 5, "C3 2 F2 2 G2 2 C3 2"),
        "Village band", 1988,
    )  # fmt: skip
    said = subprocess.run(
        ["espeak-ng", "-v", "en", "-s", "165", "--stdout", "Hello Ada, it's me. The apples are ripe. Call me back!"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    with wave.open(io.BytesIO(said)) as w:
        rate, voice = w.getframerate(), np.frombuffer(w.readframes(w.getnframes()), "<i2").astype(float)
    # A telephone's 8 kHz: a running mean against aliases, then every so many-th sample.
    width = rate // 8_000
    smooth = np.convolve(voice, np.ones(width) / width, "same")
    at = np.arange(0, len(smooth) - 1, rate / 8_000)
    target = DEMO / "Recordings" / "Grandpa's message.wav"
    target.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(target), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(8_000)
        w.writeframes(np.interp(at, np.arange(len(smooth)), smooth).astype("<i2").tobytes())


# --- pictures ---------------------------------------------------------------


def sky(width: int, height: int, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image.Image:
    mix_ = np.linspace(0, 1, height)[:, None, None]
    rows = np.array(top) * (1 - mix_) + np.array(bottom) * mix_
    return Image.fromarray(np.broadcast_to(rows, (height, width, 3)).astype("uint8"))


def save_photo(path: str, image: Image.Image, taken: str, what: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = what  # ImageDescription
    exif[0x0110] = "Drawn by make_demo.py"  # Model
    exif[0x0132] = taken  # DateTime
    exif.get_ifd(0x8769)[0x9003] = taken  # DateTimeOriginal
    target = DEMO / path
    target.parent.mkdir(parents=True, exist_ok=True)
    image.save(target, quality=82, exif=exif, optimize=True)


def tiber() -> Image.Image:
    w, h = 640, 427
    image = sky(w, h, (38, 44, 92), (250, 170, 96))
    draw = ImageDraw.Draw(image)
    draw.ellipse((430, 205, 490, 265), fill=(255, 226, 150))
    far = (70, 48, 84)
    draw.rectangle((0, 262, w, 300), fill=far)
    draw.pieslice((150, 170, 270, 330), 180, 360, fill=far)  # the dome
    draw.rectangle((202, 148, 218, 176), fill=far)
    draw.ellipse((204, 138, 216, 152), fill=far)
    rng = random.Random(7)
    for x in range(0, w, 22):
        draw.rectangle((x, 262 - rng.randrange(26), x + 20, 300), fill=far)
    water = image.crop((0, 60, w, 290)).transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize((w, h - 290))
    image.paste(Image.blend(water, Image.new("RGB", water.size, (40, 40, 80)), 0.35), (0, 290))
    for x in range(-20, w, 150):  # a bridge
        draw.rectangle((x, 276, x + 150, 292), fill=(34, 26, 48))
        draw.pieslice((x + 15, 284, x + 135, 372), 180, 360, fill=(60, 48, 84))
        draw.rectangle((x - 8, 290, x + 15, 336), fill=(34, 26, 48))
    for _ in range(260):
        x, y = rng.randrange(w), rng.randrange(300, h)
        draw.line((x, y, x + rng.randrange(6, 26), y), fill=(236, 168, 120) if rng.random() < 0.4 else (52, 48, 92))
    return image.filter(ImageFilter.GaussianBlur(0.6))


def pantheon() -> Image.Image:
    image = Image.new("RGB", (480, 360), (252, 248, 238))
    draw = ImageDraw.Draw(image)
    ink = (70, 58, 48)
    draw.arc((90, 60, 390, 300), 180, 360, fill=ink, width=3)
    draw.polygon(((100, 180), (240, 118), (380, 180)), outline=ink, width=3)
    draw.rectangle((100, 180, 380, 204), outline=ink, width=3)
    for i in range(8):
        x = 108 + i * 35
        draw.rectangle((x, 204, x + 16, 310), outline=ink, width=2)
    for i in range(3):
        draw.rectangle((86 - i * 8, 310 + i * 8, 394 + i * 8, 318 + i * 8), outline=ink, width=2)
    draw.text((150, 184), "M·AGRIPPA·L·F·COS", fill=ink, font=ImageFont.load_default(16))
    draw.text((170, 338), "Rome, on a bench, 2019", fill=(140, 90, 60), font=ImageFont.load_default(14))
    return image.quantize(16)


def tulips() -> Image.Image:
    w, h = 480, 480
    image = sky(w, h, (176, 214, 240), (120, 170, 92))
    draw = ImageDraw.Draw(image)
    rng = random.Random(11)
    for _ in range(46):
        x, y = rng.randrange(10, w - 10), rng.randrange(180, h - 10)
        size = 8 + (y - 160) // 14
        colour = rng.choice(((214, 40, 56), (244, 196, 48), (236, 112, 160), (250, 246, 240)))
        draw.line((x, y, x + rng.randrange(-6, 7), y + size * 4), fill=(52, 112, 48), width=max(2, size // 6))
        draw.pieslice((x - size, y - size * 2, x + size, y + size), 0, 180, fill=colour)
        for shift in (-size, -size // 3, size // 3):
            left = x + shift
            draw.polygon(
                ((left, y - size // 2), (left + size // 3, y - size * 2), (left + size * 2 // 3, y - size // 2)),
                fill=colour,
            )
    return image.filter(ImageFilter.GaussianBlur(0.8))


def beds() -> Image.Image:
    image = Image.new("RGB", (480, 320), (238, 244, 228))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(18)
    for i, (name, colour) in enumerate(
        (
            ("beans", (150, 190, 110)),
            ("tomatoes", (226, 128, 104)),
            ("leek", (196, 214, 170)),
            ("tulips", (236, 176, 200)),
        )
    ):
        x, y = 24 + (i % 2) * 228, 24 + (i // 2) * 142
        draw.rounded_rectangle((x, y, x + 204, y + 120), 12, fill=colour, outline=(90, 90, 70), width=2)
        draw.text((x + 16, y + 46), name, fill=(40, 40, 30), font=font)
    return image.quantize(16)


def pictures() -> None:
    save_photo("Pictures/2019 Rome/Evening over the Tiber.jpg", tiber(), "2019:10:04 18:42:10", "The Tiber at dusk")
    save_photo("Pictures/2021 Garden/First tulips.jpg", tulips(), "2021:04:17 09:15:00", "The first tulips")
    for path, image in (("2019 Rome/Pantheon, drawn.png", pantheon()), ("2021 Garden/Plan of the beds.png", beds())):
        image.save(DEMO / "Pictures" / path, optimize=True)


# --- documents --------------------------------------------------------------

LETTER = """\
Dear Jürgen,

thank you for the apples. The strudel is in the oven and the whole house smells of
cinnamon. I have found the pictures of Rome again, all of them, also the one of the
river in the evening that you like so much. They were in three folders and on two
disks; now I only have to remember that they are of Rome.

Come over when it rains. Ada
"""

STRUDEL = """\
# Apple strudel

The way grandmother made it, for six.

- 300 g flour, 1 egg, 2 spoons of oil, a little lukewarm water
- 1 kg sour apples, thinly sliced
- 100 g sugar, cinnamon, a handful of raisins
- 80 g butter, 100 g breadcrumbs

Knead the dough until it is smooth and let it rest under a warm bowl for half an hour.
Draw it out over a cloth **until you can read a letter through it**. Fry the crumbs in
the butter. Crumbs, apples, sugar and raisins on the dough; roll; bake at 190 °C for
35 minutes.
"""

SAUCE = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Grüne Soße</title></head>
<body>
<h1>Grüne Soße</h1>
<p>Seven herbs, cold, with potatoes and eggs. From Frankfurt, in spring.</p>
<ul>
  <li>borage, chervil, cress, parsley, salad burnet, sorrel, chives: two handfuls in all</li>
  <li>250 g yoghurt, 150 g sour cream, one spoon of mustard</li>
  <li>4 eggs, hard-boiled; salt, pepper, lemon</li>
</ul>
<p>Chop the herbs finely, stir, leave in the cold for an hour.</p>
</body>
</html>
"""

FABLES = (
    (
        "The hare and the tortoise",
        (
            "A hare laughed at a tortoise for being slow. “Let us race, then,” said the tortoise, and they did.",
            (
                "The hare was soon so far ahead that it lay down for a nap. The tortoise walked, and walked on, and "
                "walked past. When the hare woke up, the race was over."
            ),
        ),
    ),
    (
        "The crow and the pitcher",
        (
            "A thirsty crow found a pitcher with so little water in it that no beak could reach it.",
            (
                "It dropped in a pebble, and another, and another; and with every pebble the water rose, "
                "until the crow could drink."
            ),
        ),
    ),
    (
        "The bundle of sticks",
        (
            (
                "A father gave each of his quarrelling sons a stick to break, and each broke his. Then he tied a dozen "
                "together, and no one could break the bundle."
            ),
        ),
    ),
)


def pdf(title: str, lines: list[str]) -> bytes:
    """One page of text in a font that every reader has. PDF 1.4, by hand: 60 lines need no library."""

    def text(line: str) -> bytes:
        # Helvetica in WinAnsi encoding knows the umlauts.
        raw = line.encode("cp1252")
        return b"(" + raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)") + b")"

    page = b"BT /F2 18 Tf 72 770 Td " + text(title) + b" Tj /F1 11 Tf 0 -30 Td 16 TL\n"
    page += b"".join(text(line) + b" Tj T*\n" for line in lines) + b"ET\n"
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /%s /Encoding /WinAnsiEncoding >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R /F2 6 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%sendstream" % (len(page), page),
        font % b"Helvetica",
        font % b"Helvetica-Bold",
        b"<< /Title " + text(title) + b" /Author (Ada) /CreationDate (D:20240312090000Z) >>",
    ]
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info 7 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def epub() -> bytes:
    """EPUB 3: a zip whose first member, stored, says what it is."""

    def xhtml(title: str, body: str) -> str:
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n'
            '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en">\n'
            f"<head><title>{title}</title></head>\n<body>{body}</body>\n</html>\n"
        )

    chapters = {
        f"fable{i}.xhtml": (title, xhtml(title, f"<h1>{title}</h1>" + "".join(f"<p>{p}</p>" for p in paragraphs)))
        for i, (title, paragraphs) in enumerate(FABLES, 1)
    }
    links = "".join(f'<li><a href="{name}">{title}</a></li>' for name, (title, _) in chapters.items())
    items = "".join(f'<item id="{name[:-6]}" href="{name}" media-type="application/xhtml+xml"/>' for name in chapters)
    spine = "".join(f'<itemref idref="{name[:-6]}"/>' for name in chapters)
    package = (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">\n'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        '<dc:identifier id="id">urn:uuid:5f9d3b56-6a0e-4a57-9d0c-3f6f2a8f0c11</dc:identifier>'
        "<dc:title>Three fables</dc:title><dc:creator>Aesop, told anew</dc:creator><dc:language>en</dc:language>"
        '<meta property="dcterms:modified">2020-01-01T00:00:00Z</meta></metadata>\n'
        f'<manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>{items}'
        f"</manifest>\n<spine>{spine}</spine>\n</package>\n"
    )
    container = (
        '<?xml version="1.0"?>\n<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles>'
        "</container>\n"
    )
    members = {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OEBPS/book.opf": package}
    nav = f'<nav epub:type="toc"><h1>Three fables</h1><ol>{links}</ol></nav>'
    members["OEBPS/nav.xhtml"] = xhtml("Three fables", nav)
    members |= {f"OEBPS/{name}": page for name, (_, page) in chapters.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in members.items():
            kind = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), text, kind)
    return out.getvalue()


def documents() -> None:
    insurance = [
        "Policy 4711-08, for the household of Ada and Jürgen.", "", "Covered: fire, water, storm, theft of bicycles.",
        "Not covered: strudel.", "", "Premium: 84.20 EUR a year, due on 1 April.", "", "Keep this paper until 2034.",
    ]  # fmt: skip
    files: dict[str, bytes] = {
        "Letters/Dear Jürgen.txt": LETTER.encode("utf-8"),
        "Recipes/Apple strudel.md": STRUDEL.encode("utf-8"),
        "Recipes/Grüne Soße.html": SAUCE.encode("utf-8"),
        "Household/Insurance 2024.pdf": pdf("Household insurance 2024", insurance),
        "Books/Three fables.epub": epub(),
    }
    for path, data in files.items():
        target = DEMO / "Documents" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def main() -> None:
    shutil.rmtree(DEMO, ignore_errors=True)
    sounds()
    pictures()
    documents()
    # What everybody has: the same picture once more, under another name.
    downloads = DEMO / "Downloads"
    downloads.mkdir()
    shutil.copyfile(DEMO / "Pictures/2019 Rome/Evening over the Tiber.jpg", downloads / "IMG_2041 (1).jpg")
    files = [path for path in DEMO.rglob("*") if path.is_file()]
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files)} bytes in {DEMO}")


if __name__ == "__main__":
    main()
