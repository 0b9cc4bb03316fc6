"""Tags that files carry in themselves: artists of music, cameras of photographs, authors of documents."""
