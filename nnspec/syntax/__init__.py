"""The syntax of nnspec: text, tokens, trees, and the canonical layout."""
