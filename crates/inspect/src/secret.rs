//! Secrets and tokens: formats with check digits, keys, connection strings.
