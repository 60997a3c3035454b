//! Function, line, memory and query profiling tied to the request.
