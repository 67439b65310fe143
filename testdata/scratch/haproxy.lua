core.register_service("answer", "http", function(applet)
    local answer = "from lua\n"
    applet:set_status(200)
    applet:add_header("content-length", string.len(answer))
    applet:start_response()
    applet:send(answer)
end)
core.register_task(function() core.msleep(1) end)
