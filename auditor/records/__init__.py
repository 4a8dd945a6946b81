"""The nouns of an audit: frozen, typed records that stages exchange and the evidence directory holds."""
