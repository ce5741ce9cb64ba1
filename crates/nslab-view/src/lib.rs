//! Labs as text.
