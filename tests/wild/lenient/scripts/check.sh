echo "checking $KEPTN_PROJECT/$KEPTN_STAGE/$KEPTN_SERVICE"
ls /keptn/scripts 2>/dev/null || ls "$KEPTN_FILES_DIR/scripts"
