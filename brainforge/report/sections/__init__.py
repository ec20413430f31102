"""The sections of the report, one module each: ``build(result, pool) -> Section``."""
