//! Faults between a client and the API server.
