"""TLS of the server: certificates from files, contexts, listening, reload, who the client is."""
