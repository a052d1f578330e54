"""The live page: a document, a style sheet and two scripts; nothing is fetched from elsewhere."""

from lengthwise.interfaces.http.page.files import HEADERS, PageFile, page_files

__all__ = ["HEADERS", "PageFile", "page_files"]
