read -r line
printf 'Content-Type: text/plain\r\n\r\n%s %s %s\n' "$REQUEST_METHOD" "$QUERY_STRING" "$line"
