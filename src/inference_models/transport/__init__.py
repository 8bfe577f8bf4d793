"""How this library talks HTTP: one client, one set of rules, one door that can be shut."""
