"""The live page and the page that documents the API; nothing is fetched from elsewhere."""

from lengthwise.interfaces.http.page.files import HEADERS, PageFile, page_files
from lengthwise.interfaces.http.page.reference import reference_page

__all__ = ["HEADERS", "PageFile", "page_files", "reference_page"]
