"""The live page: one document, one style sheet, one script; nothing is fetched from elsewhere."""

from lengthwise.interfaces.http.page.files import HEADERS, PageFile, page_files

__all__ = ["HEADERS", "PageFile", "page_files"]
