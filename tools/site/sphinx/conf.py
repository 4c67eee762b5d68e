"""Sphinx's configuration; tools/site lays the pages out around it."""

project = "Clove"
author = "The Clove maintainers"
project_copyright = "The Clove maintainers, Apache License 2.0"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
# Indented blocks of the pages are commands, tables and drawings as often as Python.
highlight_language = "text"
# Pages begin where a reader of the plain file begins, and link to files of the tree.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
html_theme = "furo"
html_title = "Clove"
html_static_path = ["clove.css", "clove.svg"]
html_css_files = ["clove.css"]
html_favicon = "clove.svg"
html_logo = "clove.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "sidebar_hide_name": False,
    "light_css_variables": {"color-brand-primary": "#2f6f4f", "color-brand-content": "#2f6f4f"},
    "dark_css_variables": {"color-brand-primary": "#7fc8a0", "color-brand-content": "#7fc8a0"},
}
