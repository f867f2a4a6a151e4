"""The map: projection and neighbourhoods."""
