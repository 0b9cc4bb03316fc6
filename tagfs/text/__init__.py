"""Full text: finding files by the words in them.

    words       how text becomes words; pure
    question    what a person typed, read; pure
    snippet     where in a text the words stand; pure
    documents   what is kept of a file, and what every index of it can do
    whooshed    the index itself: whoosh, behind one class
    extract     text out of files, in a process of its own that may crash (`worker`, `reading`)
    indexing    takes files from the queue, in batches, one process at a time
    search      from words to files

Derived from the library and disposable: `text/` can be deleted at any time.
"""
