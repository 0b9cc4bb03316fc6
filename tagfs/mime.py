"""Which MIME type an extension stands for: one table, the same on every device.

Nothing is asked of the system and nothing of Python's `mimetypes`: their tables differ
between machines and versions, and two nodes of one library must answer `type=audio`
alike. The table holds what Python 3.11 knows, and what people keep besides: lossless
and free audio, film containers, e-books, office documents, raw photographs, archives.
Where a type is registered with IANA that name is used, else the one in common use
(freedesktop.org's shared-mime-info).
"""

from __future__ import annotations

# One line a type: the part behind the slash, then its extensions. Read once, on first use.
_TABLE = """
application
    epub+zip epub
    gzip gz tgz
    java-archive jar
    javascript js mjs
    json json
    ld+json jsonld
    geo+json geojson
    gpx+xml gpx
    manifest+json webmanifest
    mbox mbox
    msword doc dot wiz
    n-quads nq
    n-triples nt
    octet-stream bin a dll exe o obj so img
    oda oda
    ogg ogx
    pdf pdf
    pgp-encrypted pgp gpg
    pgp-signature sig asc
    pkcs7-mime p7c
    postscript ps ai eps
    rtf rtf
    sql sql
    toml toml
    trig trig
    vnd.amazon.mobi8-ebook azw3 kfx
    vnd.android.package-archive apk
    vnd.apple.mpegurl m3u m3u8
    vnd.comicbook+zip cbz
    vnd.comicbook-rar cbr
    vnd.debian.binary-package deb
    vnd.google-earth.kml+xml kml
    vnd.google-earth.kmz kmz
    vnd.ms-excel xls xlb
    vnd.ms-fontobject eot
    vnd.ms-outlook msg
    vnd.ms-powerpoint ppt pot ppa pps pwz
    vnd.oasis.opendocument.chart odc
    vnd.oasis.opendocument.database odb
    vnd.oasis.opendocument.formula odf
    vnd.oasis.opendocument.graphics odg
    vnd.oasis.opendocument.presentation odp
    vnd.oasis.opendocument.presentation-template otp
    vnd.oasis.opendocument.spreadsheet ods
    vnd.oasis.opendocument.spreadsheet-template ots
    vnd.oasis.opendocument.text odt
    vnd.oasis.opendocument.text-template ott
    vnd.openxmlformats-officedocument.presentationml.presentation pptx
    vnd.openxmlformats-officedocument.presentationml.slideshow ppsx
    vnd.openxmlformats-officedocument.presentationml.template potx
    vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
    vnd.openxmlformats-officedocument.spreadsheetml.template xltx
    vnd.openxmlformats-officedocument.wordprocessingml.document docx
    vnd.openxmlformats-officedocument.wordprocessingml.template dotx
    vnd.rar rar
    vnd.sqlite3 sqlite sqlite3 db
    vnd.visio vsd vsdx
    wasm wasm
    x-7z-compressed 7z
    x-abiword abw
    x-apple-diskimage dmg
    x-bcpio bcpio
    x-bittorrent torrent
    x-bzip2 bz2
    x-cd-image iso
    x-cpio cpio
    x-csh csh
    x-dvi dvi
    x-fictionbook+xml fb2
    x-gtar gtar
    x-hdf hdf
    x-hdf5 h5
    x-ipynb+json ipynb
    x-iwork-keynote-sffkey key
    x-iwork-numbers-sffnumbers numbers
    x-iwork-pages-sffpages pages
    x-latex latex
    x-lz4 lz4
    x-lzip lz
    x-mif mif
    x-mobipocket-ebook mobi prc azw
    x-netcdf cdf nc
    x-pkcs12 p12 pfx
    x-pn-realaudio ram
    x-python-code pyc pyo
    x-rpm rpm
    x-sh sh
    x-shar shar
    x-shockwave-flash swf
    x-sv4cpio sv4cpio
    x-sv4crc sv4crc
    x-tar tar
    x-tcl tcl
    x-tex tex
    x-texinfo texi texinfo
    x-troff roff t tr
    x-troff-man man
    x-troff-me me
    x-troff-ms ms
    x-ustar ustar
    x-wais-source src
    x-xz xz txz
    xml xsl rdf wsdl xpdl
    yaml yaml yml
    zip zip
    zstd zst
audio
    aac aac adts loas
    ac3 ac3
    amr amr
    basic au snd
    flac flac
    matroska mka
    midi mid midi kar
    mp4 m4a m4b m4r
    mpeg mp3 mp2
    ogg ogg oga spx
    opus opus
    x-aiff aif aifc aiff
    x-ape ape
    x-caf caf
    x-dsd dsf dff
    x-ms-wma wma
    x-musepack mpc
    x-pn-realaudio ra
    x-scpls pls
    x-tta tta
    x-wav wav
    x-wavpack wv
font
    collection ttc
    otf otf
    ttf ttf
    woff woff
    woff2 woff2
image
    avif avif
    bmp bmp
    gif gif
    heic heic
    heif heif hif
    ief ief
    jp2 jp2
    jpeg jpg jpe jpeg jfif
    jxl jxl
    png png
    svg+xml svg svgz
    tiff tiff tif
    vnd.adobe.photoshop psd
    vnd.djvu djvu djv
    vnd.microsoft.icon ico
    webp webp
    x-adobe-dng dng
    x-canon-cr2 cr2
    x-canon-cr3 cr3
    x-canon-crw crw
    x-cmu-raster ras
    x-epson-erf erf
    x-exr exr
    x-fuji-raf raf
    x-gopro-gpr gpr
    x-hasselblad-3fr 3fr
    x-kodak-dcr dcr
    x-kodak-kdc kdc
    x-leica-rwl rwl
    x-minolta-mrw mrw
    x-nikon-nef nef
    x-nikon-nrw nrw
    x-olympus-orf orf
    x-panasonic-rw2 rw2
    x-pentax-pef pef
    x-phaseone-iiq iiq
    x-portable-anymap pnm
    x-portable-bitmap pbm
    x-portable-graymap pgm
    x-portable-pixmap ppm
    x-rgb rgb
    x-samsung-srw srw
    x-sigma-x3f x3f
    x-sony-arw arw
    x-sony-sr2 sr2
    x-sony-srf srf
    x-tga tga
    x-xbitmap xbm
    x-xcf xcf
    x-xpixmap xpm
    x-xwindowdump xwd
message
    rfc822 eml mht mhtml nws
model
    gltf+json gltf
    gltf-binary glb
    obj mtl
    stl stl
text
    calendar ics ifb
    css css
    csv csv
    gemini gmi
    html html htm xhtml
    markdown md markdown
    n3 n3
    org org
    plain txt bat c h ksh pl log text nfo conf ini cfg
    richtext rtx
    tab-separated-values tsv
    vcard vcf
    vtt vtt
    x-asciidoc adoc
    x-bibtex bib
    x-c++ cpp cc cxx hpp hh
    x-diff diff patch
    x-go go
    x-java java
    x-lua lua
    x-lyrics lrc
    x-matroska-subtitles srt
    x-php php
    x-python py
    x-rst rst
    x-ruby rb
    x-rust rs
    x-setext etx
    x-sgml sgm sgml
    x-ssa ass ssa
    x-typescript tsx cts
    xml xml
video
    3gpp 3gp 3gpp
    3gpp2 3g2 3gpp2
    matroska mkv mk3d
    mp2t ts m2ts mts
    mp4 mp4 m4v
    mpeg mpeg m1v mpa mpe mpg m2v vob
    ogg ogv
    quicktime mov qt
    vnd.rn-realvideo rv
    webm webm
    x-flv flv
    x-ms-asf asf
    x-ms-wmv wmv
    x-msvideo avi
    x-sgi-movie movie
"""

_types: dict[str, str] = {}


def _read() -> dict[str, str]:
    if not _types:
        group = ""
        for line in _TABLE.splitlines():
            if line.startswith(" "):
                name, *extensions = line.split()
                for extension in extensions:
                    _types[extension] = f"{group}/{name}"
            else:
                group = line
    return _types


def types_of_ext(ext: str) -> str | None:
    """The MIME type of an extension without its dot (`flac` gives `audio/flac`), else None. Case does not count."""
    return _read().get(ext.lower())


def known_types() -> frozenset[str]:
    """Every type that some extension stands for."""
    return frozenset(_read().values())
