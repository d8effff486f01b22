"""Reading a page of HTML."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """A parsed page: its tags, the addresses of its links and images, its cells and its text."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.tags, self.cells, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)
        if self.tags[-1:] == ["td"]:
            self.cells.append(data.strip())
