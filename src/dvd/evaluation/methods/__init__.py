"""Everything that predicts depth, behind one interface (`base`) and by name (`registry`)."""
