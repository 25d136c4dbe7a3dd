"""Sign in. An OpenID Connect login for one gateway: made once, kept safely, renewed silently, taken back."""
