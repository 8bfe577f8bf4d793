"""What a package folder holds, read and checked before any runtime sees it."""
